//! Names under `.consul` on this machine: which resolver it has, and the one file that sends those names to Consul.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{atomic, bail_input};

/// In each file that we wrote: no other is removed or replaced.
const MARK: &str = "# Written by `pkgbuilder dns install`; `pkgbuilder dns remove` takes it away.";

/// A resolver that can be told where a domain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// systemd-resolved (resolved.conf(5); ports in `DNS=` since version 246).
    Resolved,
    /// dnsmasq, where it reads a folder of settings.
    Dnsmasq,
    /// macOS (resolver(5)).
    MacOs,
}

impl Resolver {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Self; 3] = [Self::MacOs, Self::Resolved, Self::Dnsmasq];

    /// The name by which it is chosen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolved => "systemd-resolved",
            Self::Dnsmasq => "dnsmasq",
            Self::MacOs => "macos",
        }
    }

    /// Whether a machine resolves names by it, as its files show.
    fn is_on(self, root: &Path) -> bool {
        match self {
            // Its stub's address, or one of its own lists, is what programs are told to ask.
            Self::Resolved => fs::read_to_string(root.join("etc/resolv.conf"))
                .is_ok_and(|text| text.lines().any(|line| line.trim() == "nameserver 127.0.0.53")),
            Self::Dnsmasq => root.join("etc/dnsmasq.d").is_dir() && root.join("usr/sbin/dnsmasq").exists(),
            Self::MacOs => root.join("System/Library/CoreServices/SystemVersion.plist").exists(),
        }
    }

    /// The file that is ours alone.
    const fn file(self) -> &'static str {
        match self {
            Self::Resolved => "etc/systemd/resolved.conf.d/computatom-consul.conf",
            Self::Dnsmasq => "etc/dnsmasq.d/computatom-consul.conf",
            Self::MacOs => "etc/resolver/consul",
        }
    }

    fn content(self, server: SocketAddr) -> String {
        let (address, port) = (server.ip(), server.port());
        let settings = match self {
            // `~`: these names go there and nowhere else. Others are asked of it, too, beside the servers of each link: before
            // version 258 (systemd.dns-delegate(5)) a server of the whole machine is always one to ask
            // (systemd-resolved.service(8), "Protocols and Routing"). Consul refuses them.
            Self::Resolved if server.is_ipv6() => format!("[Resolve]\nDNS=[{address}]:{port}\nDomains=~consul"),
            Self::Resolved => format!("[Resolve]\nDNS={address}:{port}\nDomains=~consul"),
            Self::Dnsmasq => format!("server=/consul/{address}#{port}"),
            Self::MacOs => format!("nameserver {address}\nport {port}"),
        };
        format!("{MARK}\n{settings}\n")
    }

    /// What lets the resolver see the change; macOS watches its folder.
    const fn reload(self) -> Option<&'static str> {
        match self {
            Self::Resolved => Some("systemctl restart systemd-resolved"),
            Self::Dnsmasq => Some("systemctl restart dnsmasq"),
            Self::MacOs => None,
        }
    }
}

/// The resolver of a machine whose files are under `root`, or the one that was named.
///
/// # Errors
/// None of those that are known is in use, or there is none of that name.
pub fn resolver(root: &Path, named: Option<&str>) -> Result<Resolver> {
    let known = Resolver::ALL.map(Resolver::name).join(", ");
    if let Some(name) = named {
        return match Resolver::ALL.into_iter().find(|resolver| resolver.name() == name) {
            Some(resolver) => Ok(resolver),
            None => bail_input!("`{name}` is no resolver that is known here; use one of {known}"),
        };
    }
    match Resolver::ALL.into_iter().find(|resolver| resolver.is_on(root)) {
        Some(resolver) => Ok(resolver),
        None => bail!(
            "this machine resolves names by none of {known}: point its resolver for `consul` at Consul's DNS port yourself, \
             or name one by --resolver"
        ),
    }
}

/// What is to be done to a machine; nothing is done by making it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The resolver.
    pub resolver: Resolver,
    /// The file.
    pub path: PathBuf,
    /// What it is to hold; none: it is to go.
    pub content: Option<String>,
    /// Whether it is so already.
    pub done: bool,
}

impl Change {
    /// That `.consul` names go to `server`.
    ///
    /// # Errors
    /// A file of that name is somebody else's.
    pub fn install(root: &Path, resolver: Resolver, server: SocketAddr) -> Result<Self> {
        Self::new(root, resolver, Some(resolver.content(server)))
    }

    /// That they go nowhere.
    ///
    /// # Errors
    /// A file of that name is somebody else's.
    pub fn remove(root: &Path, resolver: Resolver) -> Result<Self> {
        Self::new(root, resolver, None)
    }

    fn new(root: &Path, resolver: Resolver, content: Option<String>) -> Result<Self> {
        let path = root.join(resolver.file());
        let now = now(&path)?;
        if now.as_ref().is_some_and(|text| !text.starts_with(MARK)) {
            bail!(
                "{} is not one that this tool wrote: move it away if `.consul` is to go elsewhere",
                path.display()
            );
        }
        Ok(Self {
            resolver,
            done: now == content,
            path,
            content,
        })
    }

    /// Says what it is, as a person would do it.
    pub fn describe(&self) -> String {
        let path = self.path.display();
        let mut text = match (&self.content, self.done) {
            (Some(_), true) => format!("{path} is as it should be\n"),
            (None, true) => format!("{path} is not there\n"),
            (Some(content), false) => {
                let mut text = format!("write {path}:\n");
                for line in content.lines() {
                    let _ = writeln!(text, "    {line}");
                }
                text
            }
            (None, false) => format!("remove {path}\n"),
        };
        if let Some(command) = self.reload() {
            let anew = if self.done {
                " by --yes, should it not have been read"
            } else {
                ""
            };
            let _ = writeln!(text, "run `{command}`{anew}");
        }
        text
    }

    /// The command that the resolver needs, also where the file is as it should be: the command may have failed the time before.
    /// Where nothing is installed and nothing is to be, it would interrupt others for nothing.
    pub fn reload(&self) -> Option<&'static str> {
        let is_absent = self.done && self.content.is_none();
        self.resolver.reload().filter(|_| !is_absent)
    }

    /// Does it to the file.
    ///
    /// # Errors
    /// The file cannot be written or removed.
    pub fn apply(&self) -> Result<()> {
        match &self.content {
            _ if self.done => Ok(()),
            Some(content) => atomic::write(&self.path, content.as_bytes()),
            None => fs::remove_file(&self.path).with_context(|| format!("removing {}", self.path.display())),
        }
    }
}

fn now(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_resolver_is_seen_by_what_programs_ask() {
        let resolved = machine(&[("etc/resolv.conf", "# stub\nnameserver 127.0.0.53\n")]);
        assert_eq!(resolver(resolved.path(), None).unwrap(), Resolver::Resolved);
        let dnsmasq = machine(&[("etc/dnsmasq.d/README", ""), ("usr/sbin/dnsmasq", "")]);
        assert_eq!(resolver(dnsmasq.path(), None).unwrap(), Resolver::Dnsmasq);
        let mac = machine(&[("System/Library/CoreServices/SystemVersion.plist", "")]);
        assert_eq!(resolver(mac.path(), None).unwrap(), Resolver::MacOs);
        let other = machine(&[("etc/resolv.conf", "nameserver 192.168.1.1\n")]);
        assert!(
            resolver(other.path(), None)
                .unwrap_err()
                .to_string()
                .contains("yourself")
        );
        assert_eq!(resolver(other.path(), Some("dnsmasq")).unwrap(), Resolver::Dnsmasq);
        let error = resolver(other.path(), Some("bind")).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
    }

    #[test]
    fn installed_seen_and_removed() {
        for (resolver, says) in [
            (Resolver::Resolved, "DNS=127.0.0.1:48600\nDomains=~consul\n"),
            (Resolver::Dnsmasq, "server=/consul/127.0.0.1#48600\n"),
            (Resolver::MacOs, "nameserver 127.0.0.1\nport 48600\n"),
        ] {
            let root = machine(&[]);
            let server = "127.0.0.1:48600".parse().unwrap();
            let change = Change::install(root.path(), resolver, server).unwrap();
            // Nothing has happened yet.
            assert!(!change.path.exists() && change.describe().starts_with("write "));
            assert_eq!(change.reload(), resolver.reload());
            change.apply().unwrap();
            assert!(fs::read_to_string(&change.path).unwrap().ends_with(says));
            let again = Change::install(root.path(), resolver, server).unwrap();
            assert!(again.done && again.describe().contains("is as it should be\n"));
            // The resolver may not have read it then.
            assert_eq!(again.reload(), resolver.reload());
            assert_eq!(again.describe().contains("by --yes"), resolver.reload().is_some());
            again.apply().unwrap();
            let remove = Change::remove(root.path(), resolver).unwrap();
            assert!(remove.describe().starts_with("remove "));
            assert_eq!(remove.reload(), resolver.reload());
            remove.apply().unwrap();
            assert!(!change.path.exists());
            let nothing = Change::remove(root.path(), resolver).unwrap();
            assert!(nothing.done && nothing.describe().ends_with("is not there\n"));
            assert_eq!(nothing.reload(), None);
        }
    }

    #[test]
    fn the_file_of_somebody_else_stays() {
        let root = machine(&[(Resolver::MacOs.file(), "nameserver 192.168.1.1\n")]);
        for change in [
            Change::install(root.path(), Resolver::MacOs, "127.0.0.1:1".parse().unwrap()),
            Change::remove(root.path(), Resolver::MacOs),
        ] {
            assert!(change.unwrap_err().to_string().contains("not one that this tool wrote"));
        }
    }

    /// dnsmasq reads what is written for it.
    #[test]
    fn dnsmasq_takes_it() {
        let root = machine(&[]);
        for server in ["127.0.0.1:48600", "[fd00::1]:8600"] {
            let change = Change::install(root.path(), Resolver::Dnsmasq, server.parse().unwrap()).unwrap();
            change.apply().unwrap();
            let output = std::process::Command::new("dnsmasq")
                .arg("--test")
                .arg(format!("--conf-file={}", change.path.display()))
                .output()
                .expect("dnsmasq (package dnsmasq-base)");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
