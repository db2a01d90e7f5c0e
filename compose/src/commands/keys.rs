//! Commands that make keys and identities: an image is public and serves many machines, so none is made, and what would
//! make it on the node is noted.

use super::arguments::Arguments;
use super::ending::{Done, settle};
use crate::shell::process::{Command, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("make-ssl-cert", |process| settle(process, snakeoil)),
    ("rndc-confgen", |process| settle(process, rndc)),
    ("ssh-keygen", |process| {
        process.note("ssh host keys are made on the node's first boot");
        Ok(0)
    }),
];

/// `make-ssl-cert generate-default-snakeoil`, a certificate of the machine's own.
fn snakeoil(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-f --force-overwrite", "-n --no-overwrite"])?;
    if given.operands() != ["generate-default-snakeoil"] {
        return Err(process.unsupported(given.operands.join(" ")).into());
    }
    process.note(
        "no certificate and no key `ssl-cert-snakeoil` are made, for an image holds no secrets: on the node \
         `make-ssl-cert generate-default-snakeoil` does it",
    );
    Ok(0)
}

/// `rndc-confgen -a`, the key with which `rndc` steers a name server.
fn rndc(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-a"])?;
    if !given.has("-a") || !given.operands.is_empty() {
        return Err(process.unsupported("anything but -a").into());
    }
    process.note("no key for rndc is made, for an image holds no secrets: on the node `rndc-confgen -a` does it");
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::commands::lookup;
    use crate::shell::process::Process;
    use crate::system::System;

    #[test]
    fn no_key_is_made_and_that_is_said() {
        let mut system = System::new("arm64", 0);
        for call in [
            &["make-ssl-cert", "generate-default-snakeoil"][..],
            &["rndc-confgen", "-a"],
            &["ssh-keygen", "-q"],
        ] {
            assert_eq!(lookup(call[0]).unwrap()(&mut Process::new(&mut system, call)), Ok(0));
        }
        assert_eq!(system.notes.len(), 3);
        assert_eq!(system.tree.walk("/").unwrap().len(), 0);
        let call = ["make-ssl-cert", "/usr/share/ssl-cert/ssleay.cnf", "/etc/ssl/x.pem"];
        assert!(lookup("make-ssl-cert").unwrap()(&mut Process::new(&mut system, &call)).is_err());
    }
}
