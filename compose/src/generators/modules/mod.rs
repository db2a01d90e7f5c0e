//! `modules.dep` and its relatives, as `depmod(8)` makes them for every kernel in `/usr/lib/modules`.
//!
//! The text files have depmod's own order, except for `modules.symbols`, whose order is that of a hash table there and
//! of modules here; nothing reads it in order. The binary ones are laid out as by kmod 34 (Debian 13).

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use rayon::prelude::*;

use crate::system::System;
use crate::tree::Tree;
use index::Index;
use object_file::Facts;

/// Binary indexes: tries of keys with values.
mod index;

/// What depmod wants to know of one module.
mod object_file;

/// A kernel module and what it stands on.
struct Module {
    /// Path below `/usr/lib/modules/VERSION`.
    path: String,
    name: String,
    facts: Facts,
    /// Indexes of the modules whose symbols it uses, in the order it uses them.
    needs: Vec<usize>,
    /// Position when users come before what they use; none in a cycle.
    position: Option<usize>,
}

/// Makes the maps of every kernel.
pub(super) fn generate(system: &mut System) -> Result<()> {
    let versions = system.tree.read_dir("/usr/lib/modules").unwrap_or_default();
    for (version, _) in versions {
        let directory = format!("/usr/lib/modules/{version}");
        if system.tree.is_dir(&format!("{directory}/kernel")) {
            maps(&mut system.tree, &directory).with_context(|| format!("reading the modules of kernel {version}"))?;
        }
    }
    Ok(())
}

fn maps(tree: &mut Tree, directory: &str) -> Result<()> {
    let mut modules = read(tree, directory)?;
    let symbols = owners(&modules);
    resolve(&mut modules, &symbols);
    sort(&mut modules);
    let mut files = vec![
        ("modules.alias", aliases(&modules)),
        ("modules.devname", device_names(&modules)),
        (
            "modules.softdep",
            listed(
                &modules,
                "softdep",
                "# Soft dependencies extracted from modules themselves.\n",
            ),
        ),
        (
            "modules.weakdep",
            listed(
                &modules,
                "weakdep",
                "# Weak dependencies extracted from modules themselves.\n",
            ),
        ),
    ];
    let mut text = String::from("# Aliases for symbols, used by symbol_request().\n");
    let mut index = Index::default();
    let mut in_order: Vec<(&String, &usize)> = symbols.iter().collect();
    in_order.sort_by_key(|(symbol, owner)| (**owner, *symbol));
    for (symbol, &owner) in in_order {
        let name = &modules[owner].name;
        text.extend(["alias symbol:", symbol, " ", name, "\n"]);
        index.insert(&format!("symbol:{symbol}"), name, priority(owner)?)?;
    }
    files.push(("modules.symbols", text));
    let mut binaries = vec![("modules.symbols.bin", index)];

    let (mut text, mut index) = (String::new(), Index::default());
    for (at, module) in modules
        .iter()
        .enumerate()
        .filter(|(_, module)| module.position.is_some())
    {
        let line = dependencies(&modules, module);
        text.extend([&line, "\n"]);
        index.insert(&module.name, &line, priority(at)?)?;
    }
    files.push(("modules.dep", text));
    binaries.push(("modules.dep.bin", index));

    let mut index = Index::default();
    for (at, module) in modules.iter().enumerate() {
        for alias in module.facts.values("alias").filter_map(normalized) {
            index.insert(&alias, &module.name, priority(at)?)?;
        }
    }
    binaries.push(("modules.alias.bin", index));
    binaries.push(("modules.builtin.bin", built_in(tree, directory)?));
    binaries.push(("modules.builtin.alias.bin", built_in_aliases(tree, directory)?));

    for (name, text) in files {
        tree.write(&format!("{directory}/{name}"), text, 0o644)
            .with_context(|| format!("writing {name}"))?;
    }
    for (name, index) in binaries {
        tree.write(&format!("{directory}/{name}"), index.encode()?, 0o644)
            .with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}

fn priority(at: usize) -> Result<u32> {
    u32::try_from(at).context("counting modules")
}

/// The name of the module in a file: without suffixes, `-` as `_`.
fn module_name(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.split('.').next().unwrap_or(base).replace('-', "_")
}

/// Reads every module, in the order of `modules.order`; of two with one name, the one in `updates/` counts.
fn read(tree: &Tree, directory: &str) -> Result<Vec<Module>> {
    let order = tree
        .read_text(&format!("{directory}/modules.order"))
        .unwrap_or_default();
    let order: HashMap<&str, usize> = order.lines().enumerate().map(|(at, path)| (path, at)).collect();
    let mut found: BTreeMap<String, (String, bytes::Bytes)> = BTreeMap::new();
    for (path, id) in tree.walk(directory)? {
        let relative = path[directory.len() + 1..].to_owned();
        let crate::tree::Kind::File(content) = &tree.inode(id).kind else {
            continue;
        };
        if !object_file::is_module(&relative) {
            continue;
        }
        let name = module_name(&relative);
        let better = found
            .get(&name)
            .is_none_or(|(known, _)| relative.starts_with("updates/") && !known.starts_with("updates/"));
        if better {
            found.insert(name, (relative, content.clone()));
        }
    }
    let mut files: Vec<(String, (String, bytes::Bytes))> = found.into_iter().collect();
    files.sort_by_key(|(_, (path, _))| {
        let plain = path.find(".ko").map_or(path.as_str(), |at| &path[..at + 3]);
        order.get(plain).copied().unwrap_or(usize::MAX)
    });
    let read = |(name, (path, content)): (String, (String, bytes::Bytes))| {
        let facts = Facts::read(&path, &content).with_context(|| format!("reading module {path}"))?;
        Ok(Module {
            path,
            name,
            facts,
            needs: Vec::new(),
            position: None,
        })
    };
    files.into_par_iter().map(read).collect()
}

/// Which module exports a symbol; the last one of several.
fn owners(modules: &[Module]) -> HashMap<String, usize> {
    let exports = |(at, module): (usize, &Module)| {
        let exported = module.facts.exported.clone();
        exported.into_iter().map(move |symbol| (symbol, at))
    };
    modules.iter().enumerate().flat_map(exports).collect()
}

fn resolve(modules: &mut [Module], symbols: &HashMap<String, usize>) {
    for module in modules {
        for symbol in &module.facts.needed {
            if let Some(&owner) = symbols.get(symbol)
                && !module.needs.contains(&owner)
            {
                module.needs.push(owner);
            }
        }
    }
}

/// Gives modules their positions: users first, the last of those without users next, as depmod's stack does.
fn sort(modules: &mut [Module]) {
    let mut users = vec![0_usize; modules.len()];
    for needed in modules.iter().flat_map(|module| &module.needs) {
        users[*needed] += 1;
    }
    let mut roots: Vec<usize> = (0..modules.len()).filter(|&at| users[at] == 0).collect();
    let mut position = 0;
    while let Some(at) = roots.pop() {
        modules[at].position = Some(position);
        position += 1;
        for needed in modules[at].needs.clone() {
            users[needed] -= 1;
            if users[needed] == 0 {
                roots.push(needed);
            }
        }
    }
}

/// `path: needed needed`, with what the needed ones need, users before what they use.
fn dependencies(modules: &[Module], module: &Module) -> String {
    let mut all: Vec<usize> = Vec::new();
    let mut todo: Vec<usize> = module.needs.clone();
    while let Some(at) = todo.pop() {
        if !all.contains(&at) {
            all.push(at);
            todo.extend(&modules[at].needs);
        }
    }
    all.retain(|&at| modules[at].position.is_some());
    all.sort_by_key(|&at| modules[at].position);
    let mut line = format!("{}:", module.path);
    for at in all {
        line.push(' ');
        line += &modules[at].path;
    }
    line
}

fn aliases(modules: &[Module]) -> String {
    let mut text = String::from("# Aliases extracted from modules themselves.\n");
    for module in modules {
        for alias in module.facts.values("alias") {
            text.extend(["alias ", alias, " ", &module.name, "\n"]);
        }
    }
    text
}

fn listed(modules: &[Module], key: &str, heading: &str) -> String {
    let mut text = heading.to_owned();
    for module in modules {
        for value in module.facts.values(key) {
            text.extend([key, " ", &module.name, " ", value, "\n"]);
        }
    }
    text
}

/// Device nodes that load a module when they are opened: a name and a number of the same module.
fn device_names(modules: &[Module]) -> String {
    let mut text = String::from("# Device nodes to trigger on-demand module loading.\n");
    for module in modules {
        let (mut name, mut number) = (None, None);
        for alias in module.facts.values("alias") {
            if let Some(given) = alias.strip_prefix("devname:") {
                name = Some(given);
            } else if let Some(given) = device_number(alias) {
                number = Some(given);
            }
            if let (Some(name), Some(number)) = (name, &number) {
                text.extend([&module.name, " ", name, " ", number, "\n"]);
                break;
            }
        }
    }
    text
}

/// `c10:203` for the alias `char-major-10-203`.
fn device_number(alias: &str) -> Option<String> {
    let (kind, rest) = match alias.strip_prefix("char-major-") {
        Some(rest) => ('c', rest),
        None => ('b', alias.strip_prefix("block-major-")?),
    };
    let (major, minor) = rest.split_once('-')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(format!("{kind}{major}:{minor}"))
}

/// An alias with `-` as `_` outside of brackets; nothing if its brackets do not match.
fn normalized(alias: &str) -> Option<String> {
    let mut out = String::with_capacity(alias.len());
    let mut inside = false;
    for letter in alias.chars() {
        match letter {
            '[' => inside = true,
            ']' if !inside => return None,
            ']' => inside = false,
            _ => {}
        }
        out.push(if letter == '-' && !inside { '_' } else { letter });
    }
    (!inside).then_some(out)
}

fn built_in(tree: &Tree, directory: &str) -> Result<Index> {
    let mut index = Index::default();
    let text = tree
        .read_text(&format!("{directory}/modules.builtin"))
        .unwrap_or_default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        index.insert(&module_name(line), "", 0)?;
    }
    Ok(index)
}

fn built_in_aliases(tree: &Tree, directory: &str) -> Result<Index> {
    let mut index = Index::default();
    let text = tree
        .read_text(&format!("{directory}/modules.builtin.modinfo"))
        .unwrap_or_default();
    for field in text.split('\0') {
        if let Some((name, alias)) = field.split_once(".alias=")
            && !name.contains(['.', '='])
            && let Some(alias) = normalized(alias)
        {
            index.insert(&alias, name, 0)?;
        }
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::generators::host;

    #[test]
    fn aliases_keep_what_is_in_brackets() {
        assert_eq!(normalized("a-b[c-d]e-f").as_deref(), Some("a_b[c-d]e_f"));
        assert_eq!(normalized("a]"), None);
        assert_eq!(normalized("a["), None);
        assert_eq!(device_number("char-major-10-203").as_deref(), Some("c10:203"));
        assert_eq!(device_number("char-major-10-*"), None);
    }

    /// Modules made by the host's compiler: `a` uses `b`, both use `c`.
    fn compile(directory: &Path) -> bool {
        let kernel = directory.join("kernel");
        std::fs::create_dir_all(&kernel).unwrap();
        let export = |name: &str| {
            format!(
                ".section __ksymtab_strings,\"a\"\n.asciz \"{name}\"\n.text\n.globl {name}\n{name}: nop\n.globl __crc_{name}\n__crc_{name} = 0x1234\n"
            )
        };
        let info = |text: &str| format!(".section .modinfo,\"a\"\n.asciz \"{text}\"\n");
        let modules = [
            (
                "a-mod",
                format!(
                    "{}{}{}.text\ncall used_b\ncall used_c\ncall printk\n",
                    info("alias=pci:v-1[a-b]*"),
                    info("alias=second"),
                    info("softdep=pre: x")
                ),
            ),
            (
                "b",
                format!("{}{}.text\ncall used_c\n", info("license=GPL"), export("used_b")),
            ),
            (
                "c",
                format!(
                    "{}{}{}",
                    export("used_c"),
                    info("alias=char-major-10-200"),
                    info("alias=devname:net/tun")
                ),
            ),
        ];
        for (name, source) in modules {
            let (assembly, object) = (directory.join("x.s"), kernel.join(format!("{name}.ko")));
            std::fs::write(&assembly, source).unwrap();
            let built = Command::new("as").arg("-o").arg(&object).arg(&assembly).status();
            if !built.is_ok_and(|status| status.success()) {
                return false;
            }
            std::fs::remove_file(assembly).unwrap();
        }
        assert!(
            Command::new("xz")
                .arg("--check=crc32")
                .arg(kernel.join("b.ko"))
                .status()
                .unwrap()
                .success()
        );
        std::fs::write(
            directory.join("modules.order"),
            "kernel/c.ko\nkernel/a-mod.ko\nkernel/b.ko\n",
        )
        .unwrap();
        std::fs::write(
            directory.join("modules.builtin"),
            "kernel/lib/one-thing.ko\nkernel/lib/one.ko\n",
        )
        .unwrap();
        std::fs::write(
            directory.join("modules.builtin.modinfo"),
            "one.alias=x-y\0one.license=GPL\0one_thing.alias=x-y\0",
        )
        .unwrap();
        true
    }

    #[test]
    fn the_real_depmod_makes_the_same() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("usr/lib/modules/6.1.0-test");
        std::os::unix::fs::symlink("usr/lib", root.path().join("lib")).unwrap();
        assert!(compile(&directory), "this test needs as(1) of binutils, and xz");
        let mut system = System::new("amd64", 0);
        host::load(&mut system.tree, root.path());
        generate(&mut system).unwrap();
        let depmod = Command::new("depmod")
            .arg("-b")
            .arg(root.path())
            .arg("6.1.0-test")
            .output()
            .unwrap();
        assert!(depmod.status.success());
        for name in ["modules.dep", "modules.alias", "modules.softdep", "modules.devname"] {
            let theirs = std::fs::read_to_string(directory.join(name)).unwrap();
            let ours = system
                .tree
                .read_text(&format!("/usr/lib/modules/6.1.0-test/{name}"))
                .unwrap();
            assert_eq!(ours, theirs, "{name}");
        }
        for name in ["dep", "alias", "symbols", "builtin", "builtin.alias"] {
            let name = format!("modules.{name}.bin");
            let theirs = index::decode(&std::fs::read(directory.join(&name)).unwrap());
            let ours = index::decode(
                &system
                    .tree
                    .read(&format!("/usr/lib/modules/6.1.0-test/{name}"))
                    .unwrap(),
            );
            assert_eq!(ours, theirs, "{name}");
            assert!(!ours.is_empty(), "{name} is empty");
        }
    }
}
