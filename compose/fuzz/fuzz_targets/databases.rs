//! Any text as one of the files dpkg, debconf and the accounts are kept in; the first byte chooses which.
#![no_main]

use computatom_compose::accounts::{Database, File};
use computatom_compose::debconf;
use computatom_compose::dpkg::alternatives::Group;
use computatom_compose::dpkg::diversions::Diversions;
use computatom_compose::dpkg::statoverrides::StatOverrides;
use computatom_compose_fuzz::{command, machine, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(data);
    let mut system = machine();
    match which % 7 {
        0 => {
            if let Some(group) = Group::parse(&text) {
                assert!(Group::parse(&group.render()).is_some());
                put(&mut system, "/var/lib/dpkg/alternatives/x", data);
                command(&mut system, &["update-alternatives", "--auto", "x"], b"");
            }
        }
        1 => {
            let _ = Diversions::parse(&text).destination("/tmp/a", "x");
        }
        2 => {
            let _ = StatOverrides::parse(&text).of("/tmp/a");
        }
        3 => {
            debconf::load_templates(&mut system, "x", &text);
            for question in system.debconf.values() {
                let _ = (debconf::expand(question, &question.value), debconf::choices(question));
            }
        }
        4 => {
            let _ = debconf::preseed(&mut system, &text, false);
        }
        5 => {
            put(&mut system, "/var/lib/dpkg/status", data);
            command(
                &mut system,
                &[
                    "dpkg-query",
                    "-W",
                    "-f",
                    "${binary:Package} ${Version;-9} ${Conffiles}\n",
                ],
                b"",
            );
            command(&mut system, &["dpkg-query", "-W", "-f", &text], b"");
        }
        _ => {
            for file in [File::Passwd, File::Group] {
                let accounts = Database::parse(file, &text);
                let _ = (accounts.id("root"), accounts.name(0));
            }
            put(&mut system, "/etc/passwd", data);
            put(&mut system, "/etc/group", data);
            command(&mut system, &["useradd", "--system", "x"], b"");
            command(&mut system, &["pwconv"], b"");
        }
    }
});
