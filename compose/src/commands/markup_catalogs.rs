//! update-xmlcatalog(8) and update-catalog(8): where the DTDs of XML and SGML are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};
use crate::tree::Tree;

/// Tools of xml-core and sgml-base.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("update-catalog", |process| settle(process, update_catalog)),
    ("update-xmlcatalog", |process| settle(process, update_xmlcatalog)),
];

/// What update-xmlcatalog makes the catalogs from.
const XML_DATA: &str = "/var/lib/xml-core";

/// Options of update-xmlcatalog.
const XML_OPTIONS: &[&str] = &[
    "--add",
    "--del",
    "--root",
    "--verbose",
    "--sort",
    "--file =",
    "--id =",
    "--local =",
    "--package =",
    "--type =",
];

/// One catalog of XML: its file, the file with its data, and the entry in question.
struct XmlCatalog {
    file: String,
    data: String,
    key: String,
    value: String,
}

impl XmlCatalog {
    fn of(given: &Arguments) -> Done<Self> {
        let value = |name: &str| {
            let missing = || Ending::failed(format!("error: {} not given", name.trim_start_matches('-')));
            given.value(name).ok_or_else(missing)
        };
        let (kind, id) = (value("--type")?, value("--id")?);
        let (attribute, element) = match kind {
            "public" => ("publicId", "Public"),
            "system" => ("systemId", "System"),
            "uri" => ("uri", "URI"),
            _ => return Err(Ending::failed("error: wrong type")),
        };
        let delegated = format!("delegate{element} {attribute}StartString=\"{id}\"");
        if given.has("--root") {
            // To remove an entry, no package is needed.
            let package = given.value("--package").unwrap_or("");
            return Ok(Self {
                file: "/etc/xml/catalog".to_owned(),
                data: format!("{XML_DATA}/catalog"),
                key: delegated,
                value: format!("catalog=\"file:///etc/xml/{package}.xml\""),
            });
        }
        if let Some(package) = given.value("--package") {
            return Ok(Self {
                file: format!("/etc/xml/{package}.xml"),
                data: format!("{XML_DATA}/{package}"),
                key: delegated,
                value: format!("catalog=\"file://{}\"", given.value("--local").unwrap_or("")),
            });
        }
        let local = value("--local")?;
        let attribute = if kind == "uri" { "name" } else { attribute };
        Ok(Self {
            file: local.to_owned(),
            data: format!("{XML_DATA}/{}", local.replace('/', "_")),
            key: format!("{kind} {attribute}=\"{id}\""),
            value: format!("uri=\"{}\"", given.value("--file").unwrap_or("")),
        })
    }

    /// Whether what the entry leads to is there.
    fn check(tree: &Tree, given: &Arguments) -> Done<()> {
        let leads_to = match (given.has("--root"), given.value("--package")) {
            (true, None) => return Err(Ending::failed("error: package catalog not given")),
            (true, Some(package)) => format!("/etc/xml/{package}.xml"),
            (false, Some(_)) => given.value("--local").unwrap_or("").to_owned(),
            (false, None) => given.value("--file").unwrap_or("").to_owned(),
        };
        if tree.is_file(&leads_to) {
            return Ok(());
        }
        Err(Ending::failed(format!("error: {leads_to} not found")))
    }

    /// The entries so far.
    fn entries(&self, tree: &Tree) -> Done<BTreeMap<String, String>> {
        if !tree.is_file(&self.data) {
            return Ok(BTreeMap::new());
        }
        let text = tree.read_text(&self.data)?;
        let entries = text.lines().filter_map(|line| {
            let (key, value) = line.strip_prefix('<')?.strip_suffix('>')?.split_once("><")?;
            Some((key.to_owned(), value.to_owned()))
        });
        Ok(entries.collect())
    }

    /// Writes data and catalog; what the catalog was becomes a backup.
    fn write(&self, tree: &mut Tree, entries: &BTreeMap<String, String>) -> Done<()> {
        if tree.is_file(&self.file) {
            tree.rename(&self.file, &format!("{}.old", self.file))?;
        }
        let mut text = tree.read_text("/usr/share/xml-core/catalog.header")?;
        for (key, value) in entries {
            let _ = writeln!(text, "<{key} {value}/>");
        }
        text += &tree.read_text("/usr/share/xml-core/catalog.footer")?;
        tree.write(&self.file, text, 0o644)?;
        let mut data = String::new();
        for (key, value) in entries {
            let _ = writeln!(data, "<{key}><{value}>");
        }
        if !data.is_empty() {
            tree.write(&self.data, data, 0o644)?;
        } else if tree.exists(&self.data) {
            tree.unlink(&self.data)?;
        }
        Ok(())
    }
}

/// Always as with `--sort`: without it, the real one writes in the order of a Perl hash, which is another in each run.
fn update_xmlcatalog(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, XML_OPTIONS)?;
    if given.has("--add") == given.has("--del") {
        return Err(Ending::failed("error: either 'add' or 'del' must be given"));
    }
    let catalog = XmlCatalog::of(&given)?;
    let tree = &mut process.system.tree;
    let mut entries = catalog.entries(tree)?;
    let known = entries.get(&catalog.key);
    if given.has("--add") {
        XmlCatalog::check(tree, &given)?;
        if known.is_some_and(|known| *known != catalog.value) {
            return Err(Ending::failed(
                "error: entity already registered with a different value",
            ));
        }
        entries.insert(catalog.key.clone(), catalog.value.clone());
    } else if known.is_some() {
        entries.remove(&catalog.key);
    } else {
        return Err(Ending::failed("error: entity not registered"));
    }
    catalog.write(tree, &entries)?;
    Ok(0)
}

fn update_catalog(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["--add", "--remove", "--quiet", "--super", "--update-super"])?;
    let operands: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    match (given.has("--update-super"), given.has("--super"), &operands[..]) {
        (true, false, []) => update_super(&mut process.system.tree)?,
        (false, true, [_]) => {
            let package = process.origin.package.clone();
            let triggers = &mut process.system.triggers;
            triggers.entry("/etc/sgml".to_owned()).or_default().insert(package);
        }
        (false, false, [catalog, entry]) => {
            change_catalog(&mut process.system.tree, catalog, entry, given.has("--add"))?;
        }
        _ => return Err(process.unsupported(operands.join(" ")).into()),
    }
    Ok(0)
}

/// Adds an entry to a central catalog or removes it, and all that have it within them.
fn change_catalog(tree: &mut Tree, catalog: &str, entry: &str, add: bool) -> Done<()> {
    let mut lines: Vec<String> = if tree.is_file(catalog) {
        let text = tree.read_text(catalog)?;
        text.lines()
            .filter(|line| !line.contains(entry))
            .map(str::to_owned)
            .collect()
    } else {
        let text = tree.read_text("/usr/share/sgml-base/catalog.centralized")?;
        text.lines().map(|line| line.replacen("CATALOG", catalog, 1)).collect()
    };
    if add {
        lines.push(format!("CATALOG {entry}"));
    }
    if tree.is_file(catalog) {
        tree.rename(catalog, &format!("{catalog}.old"))?;
    }
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    tree.write(catalog, text, 0o644)?;
    Ok(())
}

/// The catalog of the catalogs in /etc/sgml.
fn update_super(tree: &mut Tree) -> Done<()> {
    const SUPER: &str = "/var/lib/sgml-base/supercatalog";
    let mut text = "--\n## This file is created by update-catalog with update-super.\n\
                    ## Please see update-catalog(8) for how to modify this file.\n--\n"
        .to_owned();
    for (name, _) in tree.read_dir("/etc/sgml")? {
        let catalog = format!("/etc/sgml/{name}");
        let named = !name.starts_with('.') && name.strip_suffix(".cat").is_some();
        if named && tree.is_file(&catalog) && leads_somewhere(tree, &tree.read_text(&catalog)?) {
            let _ = writeln!(text, "CATALOG {catalog}");
        }
    }
    if tree.exists(SUPER) {
        tree.rename(SUPER, &format!("{SUPER}.old"))?;
    }
    tree.write(SUPER, text, 0o644)?;
    Ok(())
}

/// Whether every catalog is there that the text names, relative to /etc/sgml or to its own `BASE`.
fn leads_somewhere(tree: &Tree, text: &str) -> bool {
    let mut base = "/etc/sgml".to_owned();
    let mut keyword = String::new();
    for word in tokens(text) {
        match keyword.as_str() {
            "base" => word.clone_into(&mut base),
            "catalog" => {
                let path = if word.starts_with('/') {
                    word.to_owned()
                } else {
                    format!("{base}/{word}")
                };
                if !tree.is_file(&path) {
                    return false;
                }
            }
            _ => {
                keyword = word.to_ascii_lowercase();
                continue;
            }
        }
        keyword.clear();
    }
    true
}

/// Words and quoted words of an SGML catalog, without its comments (`-- … --`).
fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|first| "'\"".contains(*first));
        let closed = quote.and_then(|quote| rest[1..].split_once(quote));
        let comment = rest.strip_prefix("--").and_then(|inside| inside.split_once("--"));
        if let Some((word, behind)) = closed {
            found.push(word);
            rest = behind;
        } else if let Some((_, behind)) = comment {
            rest = behind;
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            found.push(&rest[..end]);
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    fn run(system: &mut System, line: &str) -> u8 {
        let args: Vec<&str> = line.split(' ').collect();
        let body = if args[0] == "update-catalog" {
            update_catalog
        } else {
            update_xmlcatalog
        };
        settle(&mut Process::new(system, &args), body).unwrap()
    }

    // The expected texts are what trixie's tools write; the oracle compares all files of xml-core and polkitd.
    #[test]
    fn a_package_is_entered_in_its_own_catalog_and_in_the_root() {
        let mut system = System::new("arm64", 0);
        let tree = &mut system.tree;
        for dir in ["/etc/xml", XML_DATA, "/usr/share/xml-core", "/usr/share/xml/x"] {
            tree.mkdir_all(dir, 0o755).unwrap();
        }
        tree.write("/usr/share/xml-core/catalog.header", "<catalog>\n", 0o644)
            .unwrap();
        tree.write("/usr/share/xml-core/catalog.footer", "</catalog>\n", 0o644)
            .unwrap();
        tree.write("/usr/share/xml/x/catalog.xml", "", 0o644).unwrap();
        let own = "--package x --local /usr/share/xml/x/catalog.xml";
        let root = "update-xmlcatalog --sort --add --type system --id http://x --package x --root";
        assert_eq!(run(&mut system, root), 1);
        assert_eq!(
            run(
                &mut system,
                &format!("update-xmlcatalog --sort --add --type system --id http://x {own}")
            ),
            0
        );
        assert_eq!(
            run(
                &mut system,
                &format!("update-xmlcatalog --sort --add --type uri --id a {own}")
            ),
            0
        );
        assert_eq!(run(&mut system, root), 0);
        let text = |path: &str| system.tree.read_text(path).unwrap();
        assert_eq!(
            text("/etc/xml/x.xml"),
            "<catalog>\n<delegateSystem systemIdStartString=\"http://x\" catalog=\"file:///usr/share/xml/x/catalog.xml\"/>\n\
             <delegateURI uriStartString=\"a\" catalog=\"file:///usr/share/xml/x/catalog.xml\"/>\n</catalog>\n"
        );
        assert_eq!(text("/etc/xml/x.xml.old").lines().count(), 3);
        assert_eq!(
            text("/var/lib/xml-core/catalog"),
            "<delegateSystem systemIdStartString=\"http://x\"><catalog=\"file:///etc/xml/x.xml\">\n"
        );
        assert_eq!(
            run(
                &mut system,
                "update-xmlcatalog --del --type system --id http://x --root"
            ),
            0
        );
        assert_eq!(
            system.tree.read_text("/etc/xml/catalog").unwrap(),
            "<catalog>\n</catalog>\n"
        );
        assert!(!system.tree.exists("/var/lib/xml-core/catalog"));
    }

    #[test]
    fn the_super_catalog_names_what_leads_somewhere() {
        let mut system = System::new("arm64", 0);
        for dir in ["/etc/sgml", "/var/lib/sgml-base", "/usr/share/sgml"] {
            system.tree.mkdir_all(dir, 0o755).unwrap();
        }
        for (path, content) in [
            ("/usr/share/sgml/one", ""),
            ("/etc/sgml/a.cat", "-- a catalog none --\nCATALOG /usr/share/sgml/one\n"),
            ("/etc/sgml/b.cat", "BASE '/usr/share/sgml'\ncatalog \"one\"\n"),
            ("/etc/sgml/c.cat", "CATALOG one\n"),
            ("/etc/sgml/.cat", ""),
        ] {
            system.tree.write(path, content, 0o644).unwrap();
        }
        assert_eq!(run(&mut system, "update-catalog --quiet --update-super"), 0);
        let text = system.tree.read_text("/var/lib/sgml-base/supercatalog").unwrap();
        let named: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(named, ["CATALOG /etc/sgml/a.cat", "CATALOG /etc/sgml/b.cat"]);
        assert_eq!(run(&mut system, "update-catalog --add --super /etc/sgml/a.cat"), 0);
        assert!(system.triggers.contains_key("/etc/sgml"));
    }
}
