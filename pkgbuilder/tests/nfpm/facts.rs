use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::process::Command;

use md5::{Digest, Md5};

/// What a .deb is: `field Depends`, `file /usr/bin/x`, `member postinst`, `conffile /etc/x`, `md5sum usr/bin/x`, each
/// with its value. Read by dpkg-deb, so that a .deb that dpkg cannot read is no package.
#[derive(Debug, Default)]
pub(crate) struct Facts(pub(crate) BTreeMap<String, String>);

impl Facts {
    pub(crate) fn of(deb: &Path) -> Self {
        let mut facts = Self::default();
        let fields = text(&["-f"], deb);
        let mut name = String::new();
        for line in fields.lines() {
            if line.starts_with(' ') {
                let value = facts.0.get_mut(&name).unwrap();
                *value += "\n";
                *value += line;
            } else {
                let (field, value) = line.split_once(':').unwrap();
                name = format!("field {field}");
                facts.0.insert(name.clone(), value.trim().to_owned());
            }
        }
        facts.members(dpkg_deb(&["--ctrl-tarfile"], deb));
        facts.files(dpkg_deb(&["--fsys-tarfile"], deb));
        facts
    }

    fn members(&mut self, archive: Vec<u8>) {
        each(archive, |path, header, content| {
            let name = path.trim_matches(['.', '/']);
            let content = String::from_utf8(content).unwrap();
            match name {
                // What is in `control` are the fields.
                "" | "control" => {}
                "conffiles" => {
                    for line in content.lines() {
                        self.0.insert(format!("conffile {line}"), String::new());
                    }
                }
                "md5sums" => {
                    for line in content.lines() {
                        let (sum, path) = line.split_once("  ").unwrap();
                        self.0.insert(format!("md5sum {path}"), sum.to_owned());
                    }
                }
                name => {
                    let mode = header.mode().unwrap();
                    self.0.insert(format!("member {name}"), format!("{mode:04o} {content}"));
                }
            }
        });
    }

    fn files(&mut self, archive: Vec<u8>) {
        each(archive, |path, header, content| {
            let path = format!("/{}", path.trim_start_matches('.').trim_matches('/'));
            let owner = format!(
                "{}:{}",
                header.username().unwrap().unwrap(),
                header.groupname().unwrap().unwrap()
            );
            let kind = header.entry_type();
            let value = if kind.is_symlink() {
                let target = String::from_utf8(content).unwrap();
                // A link's own mode means nothing on Linux.
                format!("{kind:?} {owner} -> {target}")
            } else {
                // How well a changelog is compressed is nobody's business.
                let content = if Path::new(&path).extension().is_some_and(|extension| extension == "gz") {
                    let mut plain = Vec::new();
                    flate2::read::GzDecoder::new(Cursor::new(content))
                        .read_to_end(&mut plain)
                        .unwrap();
                    plain
                } else {
                    content
                };
                let sum = hex::encode(Md5::digest(&content));
                format!("{kind:?} {:04o} {owner} {sum}", header.mode().unwrap())
            };
            self.0.insert(format!("file {path}"), value);
        });
    }
}

/// Calls `what` with path, header and content of each entry; a link's content is its target.
fn each(archive: Vec<u8>, mut what: impl FnMut(&str, &tar::Header, Vec<u8>)) {
    let mut archive = tar::Archive::new(Cursor::new(archive));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
        let mut content = Vec::new();
        match entry.link_name_bytes() {
            Some(target) => content.extend_from_slice(&target),
            None => {
                entry.read_to_end(&mut content).unwrap();
            }
        }
        what(&path, entry.header(), content);
    }
}

fn dpkg_deb(arguments: &[&str], deb: &Path) -> Vec<u8> {
    let output = Command::new("dpkg-deb").args(arguments).arg(deb).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(arguments: &[&str], deb: &Path) -> String {
    String::from_utf8(dpkg_deb(arguments, deb)).unwrap()
}
