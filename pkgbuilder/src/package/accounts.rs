//! Users and groups that have the same number on every Debian system (`passwd.master` and `group.master` of
//! base-passwd 3.6; Policy 9.2.2: 0 to 99 are global, `nobody` and `nogroup` are 65534).

/// Name and number.
type Account = (&'static str, u64);

const USERS: [Account; 18] = [
    ("root", 0),
    ("daemon", 1),
    ("bin", 2),
    ("sys", 3),
    ("sync", 4),
    ("games", 5),
    ("man", 6),
    ("lp", 7),
    ("mail", 8),
    ("news", 9),
    ("uucp", 10),
    ("proxy", 13),
    ("www-data", 33),
    ("backup", 34),
    ("list", 38),
    ("irc", 39),
    ("_apt", 42),
    ("nobody", 65534),
];

const GROUPS: [Account; 38] = [
    ("root", 0),
    ("daemon", 1),
    ("bin", 2),
    ("sys", 3),
    ("adm", 4),
    ("tty", 5),
    ("disk", 6),
    ("lp", 7),
    ("mail", 8),
    ("news", 9),
    ("uucp", 10),
    ("man", 12),
    ("proxy", 13),
    ("kmem", 15),
    ("dialout", 20),
    ("fax", 21),
    ("voice", 22),
    ("cdrom", 24),
    ("floppy", 25),
    ("tape", 26),
    ("sudo", 27),
    ("audio", 29),
    ("dip", 30),
    ("www-data", 33),
    ("backup", 34),
    ("operator", 37),
    ("list", 38),
    ("irc", 39),
    ("src", 40),
    ("shadow", 42),
    ("utmp", 43),
    ("video", 44),
    ("sasl", 45),
    ("plugdev", 46),
    ("staff", 50),
    ("games", 60),
    ("users", 100),
    ("nogroup", 65534),
];

/// The number of a user, if it is the same everywhere.
pub fn user(name: &str) -> Option<u64> {
    number(&USERS, name)
}

/// The number of a group, if it is the same everywhere.
pub fn group(name: &str) -> Option<u64> {
    number(&GROUPS, name)
}

fn number(accounts: &[Account], name: &str) -> Option<u64> {
    accounts
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian's own tables say the same.
    #[test]
    fn as_base_passwd_has_them() {
        for (table, accounts) in [("passwd", &USERS[..]), ("group", &GROUPS[..])] {
            let text = std::fs::read_to_string(format!("/usr/share/base-passwd/{table}.master")).unwrap();
            let theirs: Vec<(&str, u64)> = text
                .lines()
                .map(|line| line.split(':').collect::<Vec<_>>())
                .map(|fields| (fields[0], fields[2].parse().unwrap()))
                .collect();
            assert_eq!(accounts, theirs);
        }
        assert_eq!((user("root"), group("adm"), user("consul")), (Some(0), Some(4), None));
    }
}
