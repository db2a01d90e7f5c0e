//! Passages of maintainer scripts that run a compiled or a Perl program, and what stands in for them.
//!
//! A configurator is tied to the exact text of its passage: where a newer version of the package has another, nothing
//! is replaced, and the interpretation stops at the command that is not there. Each leaves a note in the result.

use sha2::{Digest as _, Sha256};

use crate::system::{Note, System};

/// What stands in for passages of one script.
#[derive(Debug)]
struct Configurator {
    package: &'static str,
    script: &'static str,
    /// A passage as it is written, and what is interpreted in its place; all of them must be there.
    passages: &'static [(&'static str, &'static str)],
    /// Instead of passages: the SHA-256 of the whole script, and the script that is interpreted in its place.
    whole: Option<(&'static str, &'static str)>,
    /// What is other than after the real script, and what to do where that matters.
    note: &'static str,
}

const CONFIGURATORS: &[Configurator] = &[
    Configurator {
        package: "bind9",
        script: "postinst",
        passages: &[
            ("uid=$(ls -ln /etc/bind/rndc.key | awk '{print $3}')", "uid=0"),
            ("\tchown bind /etc/bind/rndc.key\n", ""),
            (
                "chgrp bind /etc/bind/rndc.key /var/cache/bind",
                "chgrp bind /var/cache/bind",
            ),
            (
                "chmod g+r /etc/bind/rndc.key /etc/bind/named.conf*",
                "chmod g+r /etc/bind/named.conf*",
            ),
        ],
        whole: None,
        note: "the key of rndc, which is not made, has no owner set",
    },
    Configurator {
        package: "chrony",
        script: "postinst",
        passages: &[(
            "chronyd -p | grep -q \"^user\"",
            "grep -qs \"^user\" /etc/chrony/chrony.conf /etc/chrony/conf.d/*.conf",
        )],
        whole: None,
        note: "the configuration is read, and not printed by chronyd",
    },
    Configurator {
        package: "etckeeper",
        script: "postinst",
        passages: &[
            ("if etckeeper init; then", "if false; then"),
            ("etckeeper update-ignore || true", ":"),
        ],
        whole: None,
        note: "/etc is not put under version control: on the node `etckeeper init` does it",
    },
    Configurator {
        package: "mariadb-server",
        script: "postinst",
        passages: &[(
            "    TMPDIR='' bash /usr/bin/mariadb-install-db \\
      --rpm --cross-bootstrap \\
      --user=mysql --disable-log-bin \\
      --skip-test-db 2>&1 |
      $ERR_LOGGER
",
            "",
        )],
        whole: None,
        note: "no system tables are made, which are data: on the node `mariadb-install-db --user=mysql` does it",
    },
    Configurator {
        package: "nvme-cli",
        script: "postinst",
        passages: &[
            ("nvme gen-hostnqn > /etc/nvme/hostnqn", ":"),
            ("uuidgen > /etc/nvme/hostid", ":"),
        ],
        whole: None,
        note: "the names of the host for NVMe over fabrics are made on the node, which is one of many: \
               `nvme gen-hostnqn > /etc/nvme/hostnqn; uuidgen > /etc/nvme/hostid`",
    },
    Configurator {
        package: "open-iscsi",
        script: "postinst",
        passages: &[
            ("INAME=$(iscsi-iname -p iqn.1993-08.org.debian:01)", "INAME=node"),
            (
                r#"printf "InitiatorName=%s\n" "$INAME" >> $NAMEFILE"#,
                "echo GenerateName=yes >> $NAMEFILE",
            ),
        ],
        whole: None,
        note: "the initiator's name is made when the service starts (`GenerateName=yes`)",
    },
    Configurator {
        package: "postfix",
        script: "config",
        passages: &[],
        whole: Some((
            "243d72775b3a800c8bf8f4692b22279ff629f2ae501f85624c5d7892a46bf5f8",
            "#!/bin/sh
set -e
. /usr/share/debconf/confmodule
db_version 2.0
db_capb backup
db_input high postfix/main_mailer_type || true
db_set postfix/main_mailer_type 'No configuration'
db_fset postfix/newaliases run false || true
",
        )),
        note: "no mail name is known while an image is made, so Postfix is not configured: put /etc/postfix/main.cf among \
               the definition's files, beginning with /usr/share/postfix/main.cf.debian",
    },
    Configurator {
        package: "python3-twisted",
        script: "postinst",
        passages: &[(
            "    for p in $(py3versions -i); do
        \"${p}\" -c 'from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))' \\
        >/dev/null 2>&1 || true
    done
",
            "",
        )],
        whole: None,
        note: "Twisted's cache of plugins is not made: Twisted finds them without",
    },
    Configurator {
        package: "rabbitmq-server",
        script: "postinst",
        passages: &[
            ("openssl rand -base64 -out /var/lib/rabbitmq/.erlang.cookie 42", ":"),
            ("\tchmod 0400 /var/lib/rabbitmq/.erlang.cookie\n", ""),
        ],
        whole: None,
        note: "no cookie is made, for an image holds no secrets: Erlang makes one when the server starts",
    },
    Configurator {
        package: "smartmontools",
        script: "postinst",
        passages: &[(
            "update-smart-drivedb --install",
            "cp -f /usr/share/smartmontools/drivedb.h /var/lib/smartmontools/drivedb/",
        )],
        whole: None,
        note: "the package's database of drives is taken without smartctl trying it first",
    },
    Configurator {
        package: "spamassassin",
        script: "postinst",
        passages: &[
            ("if command -v gpg > /dev/null; then", "if false; then"),
            (
                r#"vers=$(perl -MMail::SpamAssassin -e 'print("$Mail::SpamAssassin::VERSION");')"#,
                "vers=",
            ),
        ],
        whole: None,
        note: "no rules are installed for updating: on the node `sa-update` does it",
    },
    Configurator {
        package: "squid",
        script: "postinst",
        passages: &[(
            "res=`squid -k parse 2>&1 |",
            "res=`sed -e '/^[[:space:]]*\\(#\\|$\\)/d' -e 's/^/Processing: /' /etc/squid/squid.conf |",
        )],
        whole: None,
        note: "the configuration is read, and not checked by squid",
    },
    Configurator {
        package: "unattended-upgrades",
        script: "postinst",
        passages: &[(
            "    python3 -c 'import apt; import apt_pkg; import sys; sys.exit(1 if \
             apt_pkg.get_lock(\"/var/run/unattended-upgrades.lock\") >= 0 else 0)'",
            "    false",
        )],
        whole: None,
        note: "nothing upgrades packages while an image is made",
    },
];

/// The text to interpret for a maintainer script.
pub(crate) fn adapted(system: &mut System, package: &str, script: &str, text: &str) -> String {
    let mut text = text.to_owned();
    let of_this = |it: &&Configurator| it.package == package && it.script == script;
    for configurator in CONFIGURATORS.iter().filter(of_this) {
        if let Some((digest, instead)) = configurator.whole {
            if hex::encode(Sha256::digest(&text)) != digest {
                continue;
            }
            instead.clone_into(&mut text);
        }
        if !configurator.passages.iter().all(|(passage, _)| text.contains(passage)) {
            continue;
        }
        for (passage, instead) in configurator.passages {
            text = text.replace(passage, instead);
        }
        let note = Note {
            package: package.to_owned(),
            script: script.to_owned(),
            text: configurator.note.to_owned(),
        };
        if !system.notes.contains(&note) {
            system.notes.push(note);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_replaced_where_it_is_as_it_was_and_that_is_noted() {
        let mut system = System::new("arm64", 0);
        let known = "nvme gen-hostnqn > /etc/nvme/hostnqn\nuuidgen > /etc/nvme/hostid\n";
        assert_eq!(adapted(&mut system, "nvme-cli", "postinst", known), ":\n:\n");
        assert_eq!(system.notes.len(), 1);
        let newer = "nvme gen-hostnqn > /etc/nvme/hostnqn\nuuidgen -r > /etc/nvme/hostid\n";
        assert_eq!(adapted(&mut system, "nvme-cli", "postinst", newer), newer);
        assert_eq!(adapted(&mut system, "other", "postinst", known), known);
        assert_eq!(system.notes.len(), 1);
    }

    #[test]
    fn configurators_are_in_order_and_have_passages() {
        let names: Vec<_> = CONFIGURATORS.iter().map(|it| (it.package, it.script)).collect();
        assert!(names.is_sorted());
        assert!(
            CONFIGURATORS
                .iter()
                .all(|it| (it.passages.is_empty() == it.whole.is_some()) && !it.note.is_empty())
        );
    }
}
