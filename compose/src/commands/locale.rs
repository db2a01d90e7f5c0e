//! update-locale(8): the system's locale in `/etc/default/locale` (since trixie a link to `/etc/locale.conf`).

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, settle};
use crate::shell::process::{Command, Process};

/// update-locale
pub(crate) const COMMANDS: &[(&str, Command)] = &[("update-locale", |process| settle(process, update_locale))];

/// `update-locale LANG=C.UTF-8 LC_TIME`: sets the one, removes the other.
fn update_locale(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["--no-checks", "--reset", "--locale-file ="])?;
    let file = given.value("--locale-file").unwrap_or("/etc/default/locale");
    let tree = &mut process.system.tree;
    let old = if given.has("--reset") || !tree.exists(file) {
        String::new()
    } else {
        tree.read_text(file)?
    };
    let name = |text: &str| text.split('=').next().unwrap_or("").to_owned();
    let kept = old
        .lines()
        .filter(|line| !given.operands.iter().any(|operand| name(operand) == name(line)));
    let set = given
        .operands
        .iter()
        .filter(|operand| operand.contains('='))
        .map(String::as_str);
    let text: String = kept.chain(set).flat_map(|line| [line, "\n"]).collect();
    tree.mkdir_all("/etc/default", 0o755)?;
    tree.write(file, text, 0o644)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    #[test]
    fn variables_are_set_and_removed() {
        let mut system = System::new("arm64", 0);
        for call in [
            &["update-locale", "LANG=de_DE.UTF-8", "LC_TIME=C"][..],
            &["update-locale", "LANG=C.UTF-8", "LC_TIME"],
        ] {
            assert_eq!(settle(&mut Process::new(&mut system, call), update_locale), Ok(0));
        }
        assert_eq!(system.tree.read_text("/etc/default/locale").unwrap(), "LANG=C.UTF-8\n");
    }
}
