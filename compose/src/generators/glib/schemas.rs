//! `gschemas.compiled`, as `glib-compile-schemas(1)` makes it of the schemas in `/usr/share/glib-2.0/schemas`
//! (`gio/glib-compile-schemas.c`; the elements: <https://docs.gtk.org/gio/class.Settings.html>).

use std::collections::HashMap;

use anyhow::Result;

use super::gvdb::Table;
use super::hash_table::HashTable;
use super::key::Key;
use super::key_file::KeyFile;
use super::string_info::StringInfo;
use super::variant::{Type, Value};
use crate::generators::note;
use crate::system::System;

/// Where schemas are, and what is made of them.
const DIRECTORY: &str = "/usr/share/glib-2.0/schemas";
const COMPILED: &str = "/usr/share/glib-2.0/schemas/gschemas.compiled";

/// All schemas by their ids.
type Schemas = HashTable<Schema>;

/// A schema.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) path: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) extends: Option<String>,
    pub(super) list_of: Option<String>,
    pub(super) members: HashTable<Member>,
}

/// What a schema has under a name.
#[derive(Debug)]
pub(super) enum Member {
    Key(Box<Key>),
    /// Id of the schema of a child.
    Child(String),
}

/// Compiles all schemas. A file that cannot be is left out, as the real tool does.
pub(in crate::generators) fn generate(system: &mut System) -> Result<()> {
    if !system.tree.is_dir(DIRECTORY) {
        return Ok(());
    }
    let names = |suffixes: &[&str]| -> Result<Vec<String>> {
        let entries = system.tree.read_dir(DIRECTORY)?.into_iter().map(|(name, _)| name);
        let mut names: Vec<String> = entries
            .filter(|name| suffixes.iter().any(|suffix| name.ends_with(suffix)))
            .collect();
        // What others refer to comes first.
        names.sort_by_key(|name| (!name.ends_with(".enums.xml"), name.clone()));
        Ok(names)
    };
    let (sources, overrides) = (names(&[".gschema.xml", ".enums.xml"])?, names(&[".gschema.override"])?);
    if sources.is_empty() {
        if system.tree.lexists(COMPILED) {
            system.tree.unlink(COMPILED)?;
        }
        return Ok(());
    }
    let mut compiler = Compiler::default();
    let mut refused = Vec::new();
    for name in sources {
        let text = String::from_utf8(system.tree.read(&format!("{DIRECTORY}/{name}"))?.to_vec());
        let read = text.map_err(|_| "it is not UTF-8".to_owned());
        if let Err(why) = read.and_then(|text| compiler.add_file(&text)) {
            refused.push(format!("{DIRECTORY}/{name} is ignored: {why}"));
        }
    }
    for name in overrides {
        let text = String::from_utf8_lossy(&system.tree.read(&format!("{DIRECTORY}/{name}"))?).into_owned();
        let wrong = compiler.override_defaults(&text);
        refused.extend(wrong.into_iter().map(|why| format!("{DIRECTORY}/{name}: {why}")));
    }
    system
        .tree
        .write(COMPILED, compiled(&compiler.schemas).to_bytes(), 0o644)?;
    for text in refused {
        note(system, text);
    }
    Ok(())
}

fn compiled(schemas: &Schemas) -> Table {
    let mut root = Table::with_root();
    for (id, schema) in schemas.iter() {
        let mut table = Table::with_root();
        let mut translated = false;
        for (name, member) in schema.members.iter() {
            match member {
                Member::Child(id) => table.insert_listed(name, Type::string(), Value::String(id.clone())),
                Member::Key(key) => {
                    if let Some((kind, value)) = key.stored() {
                        table.insert_listed(name, kind, value);
                    }
                    translated |= key.translated.is_some();
                }
            }
        }
        let domain = schema.domain.as_ref().filter(|_| translated);
        for (key, text) in [
            (".path", &schema.path),
            (".extends", &schema.extends),
            (".list-of", &schema.list_of),
            (".gettext-domain", &domain.cloned()),
        ] {
            if let Some(text) = text {
                table.insert_string(key, text);
            }
        }
        root.insert_table(id, table);
    }
    root
}

/// What is known when the next file is read.
#[derive(Debug, Default)]
pub(super) struct Compiler {
    pub(super) schemas: Schemas,
    /// `<enum>` and `<flags>` by whether they are flags, and id.
    pub(super) values: HashMap<(bool, String), StringInfo>,
}

impl Compiler {
    /// Takes the defaults of an override file; what is wrong with it.
    fn override_defaults(&mut self, text: &str) -> Vec<String> {
        let file = match KeyFile::parse(text) {
            Ok(file) => file,
            Err(why) => return vec![why],
        };
        let mut wrong = Vec::new();
        for (group, values) in file.0 {
            let (id, desktop) = group
                .split_once(':')
                .map_or((&*group, None), |(id, desktop)| (id, Some(desktop)));
            // That a schema is not installed is common.
            let Some(schema) = self.schemas.get_mut(id) else {
                continue;
            };
            for (name, text) in values {
                let result = match schema.members.get_mut(&name) {
                    Some(Member::Key(key)) => override_default(key, desktop, &text),
                    _ => Err("there is no such key".to_owned()),
                };
                if let Err(why) = result {
                    wrong.push(format!("`{name}` of {group} is not overridden: {why}"));
                }
            }
        }
        wrong
    }
}

fn override_default(key: &mut Key, desktop: Option<&str>, text: &str) -> Result<(), String> {
    if desktop.is_some() && key.translated.is_some() {
        return Err("a translated default is the same for all desktops".to_owned());
    }
    let value = key.parse(text)?;
    match desktop {
        Some(desktop) => {
            let kind = key.kind.clone();
            key.desktops.insert(desktop, (kind, value));
        }
        None => key.default = Some(value),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const ENUMS: &str = r"<schemalist>
  <enum id='org.example.Colour'><value nick='red' value='0'/><value nick='dark-green' value='0x10'/><value nick='no' value='-1'/></enum>
  <flags id='org.example.Flags'><value nick='none' value='0'/><value nick='one' value='1'/><value nick='two' value='2'/></flags>
</schemalist>";

    const SCHEMAS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE schemalist SYSTEM "gschema.dtd">
<schemalist gettext-domain="example">
  <!-- every kind of key -->
  <schema id="org.example.base">
    <key name="colour" enum="org.example.Colour"><default>'red'</default><aliases><alias value='rot' target='red'/></aliases></key>
    <key name="flags" flags="org.example.Flags"><default>['one','two']</default></key>
    <key name="greeting" type="s">
      <default l10n="messages" context="of a person"> "hello" </default>
      <summary>A greeting</summary>
      <description>Said &amp; done.</description>
    </key>
    <key name="week" type="u"><default l10n='time'>1</default><range max="6"/></key>
    <key name="ratio" type="d"><range min="0.5" max="2"/><default>1</default></key>
    <key name="level" type="y"><default>7</default><range min="1"/></key>
    <key name="words" type="as"><choices><choice value="a"/><choice value="longer"/></choices><default>['a']</default></key>
    <key name="nothing" type="mi"><default>nothing</default></key>
    <key name="any" type="v"><default>&lt;{'k': &lt;[1,2]&gt;, 'l': &lt;'x'&gt;}&gt;</default></key>
    <key name="mixed" type="(bsnqxtha{sv}ayo)"><default>(true, 'a', -1, 2, -3, 4, 5, {'x': &lt;1.5&gt;}, b'xy', '/a/b')</default></key>
    <key name="nested" type="a(sa{ia(ss)})"><default>[('a', {1: [('b','c')]}), ('d', @a{ia(ss)} {})]</default></key>
    <child name="below" schema="org.example.list"/>
  </schema>
  <schema id="org.example.derived" extends="org.example.base" path="/org/example/">
    <override name="ratio">1.5</override>
    <key name="more" type="b"><default>false</default></key>
  </schema>
  <schema id="org.example.list" list-of="org.example.base" path="/org/example/list:/" />
</schemalist>"#;

    const OVERRIDES: &str = "[org.example.base]\nlevel=9\nweek=60\nunknown=1\nwords=['longer', 'a']\n\n\
                             [org.example.base:KDE]\nlevel=8\ngreeting='x'\n[org.example.base:GNOME:Classic]\nlevel=6\n\
                             [not.installed]\nx=1\n";

    /// A file is left out whole, with what it had defined by then.
    const BROKEN: &str = "<schemalist><schema id='org.example.a'><key name='x' type='i'><default>1</default></key></schema>\
                          <schema id='org.example.b'><key name='x' type='i'><default>'1'</default></key></schema></schemalist>";

    /// `glib-compile-schemas` of a scratch directory.
    fn real(directory: &Path) -> Vec<u8> {
        let output = Command::new("glib-compile-schemas")
            .arg(directory)
            .output()
            .expect("glib-compile-schemas is the judge here: install it (package libglib2.0-bin)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(directory.join("gschemas.compiled")).unwrap()
    }

    /// Compiles files by both; what ours had to note.
    fn compare(files: &[(String, String)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut system = System::new("arm64", 0);
        system.tree.mkdir_all(DIRECTORY, 0o755).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
            system
                .tree
                .write(&format!("{DIRECTORY}/{name}"), text.clone(), 0o644)
                .unwrap();
        }
        generate(&mut system).unwrap();
        let (ours, theirs) = (system.tree.read(COMPILED).unwrap(), real(dir.path()));
        assert!(ours == theirs, "{} and {} bytes", ours.len(), theirs.len());
        system.notes.into_iter().map(|note| note.text).collect()
    }

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn the_real_tool_makes_the_same_bytes() {
        let notes = compare(&[
            file("a.gschema.xml", SCHEMAS),
            file("b.enums.xml", ENUMS),
            file("c.gschema.xml", BROKEN),
            file("d.gschema.override", OVERRIDES),
        ]);
        assert_eq!(
            notes,
            [
                "/usr/share/glib-2.0/schemas/c.gschema.xml is ignored: line 1: <default>: this is no value of type `i`",
                "/usr/share/glib-2.0/schemas/d.gschema.override: `week` of org.example.base is not overridden: the value \
                 is outside of the range",
                "/usr/share/glib-2.0/schemas/d.gschema.override: `unknown` of org.example.base is not overridden: there \
                 is no such key",
                "/usr/share/glib-2.0/schemas/d.gschema.override: `greeting` of org.example.base:KDE is not overridden: a \
                 translated default is the same for all desktops",
            ]
        );
    }

    /// Hundreds of names decide about the order.
    #[test]
    fn the_order_is_that_of_the_real_tool() {
        let mut text = "<schemalist>".to_owned();
        for schema in 0..90 {
            write!(text, "<schema id='org.example.s{}'>", schema * 7919 % 1000).unwrap();
            for key in 0..schema {
                let name = key * 31 % 97;
                write!(text, "<key name='k{name}' type='i'><default>{key}</default></key>").unwrap();
            }
            text += "</schema>";
        }
        assert!(compare(&[file("a.gschema.xml", &(text + "</schemalist>"))]).is_empty());
    }

    #[test]
    fn without_schemas_nothing_is_there() {
        let mut system = System::new("arm64", 0);
        generate(&mut system).unwrap();
        assert!(!system.tree.exists(DIRECTORY));
        system.tree.mkdir_all(DIRECTORY, 0o755).unwrap();
        system.tree.write(COMPILED, "old", 0o644).unwrap();
        generate(&mut system).unwrap();
        assert!(!system.tree.exists(COMPILED));
    }
}
