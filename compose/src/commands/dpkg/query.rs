//! dpkg-query(1): what is installed and whose a file is, read from `/var/lib/dpkg` in the tree.

use super::stanza::{Stanza, installed};
use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::commands::fnmatch::matches;
use crate::dpkg::diversions::Diversions;
use crate::shell::process::{Command, Process, Status};
use crate::tree::Tree;

/// dpkg-query
pub(crate) const COMMANDS: &[(&str, Command)] = &[("dpkg-query", |process| settle(process, run))];

/// Where dpkg keeps the packages' files.
const INFO: &str = "/var/lib/dpkg/info";

const OPTIONS: &[&str] = &[
    "-W --show",
    "-f --showformat =",
    "-L --listfiles",
    "-S --search",
    "-s --status",
    "-p --print-avail",
    "-l --list",
    "-c --control-path",
    "--control-list",
    "--control-show",
    "--no-pager",
    "--admindir =",
    "--root =",
];

/// The queries, for `dpkg-query` and for `dpkg`.
pub(super) fn run(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, OPTIONS)?;
    let names = given.operands();
    let packages = installed(&process.system.tree)?;
    let actions = [
        "-W",
        "-L",
        "-S",
        "-s",
        "-p",
        "-l",
        "-c",
        "--control-list",
        "--control-show",
    ];
    let Some(action) = actions.into_iter().find(|action| given.has(action)) else {
        return Err(process.unsupported(process.args[1..].join(" ")).into());
    };
    match action {
        "-W" => show(process, &packages, &names, given.value("-f")),
        "-L" => list_files(process, &packages, &names),
        "-S" => search(process, &packages, &names),
        "-s" | "-p" => Ok(status(process, &packages, &names)),
        "-l" => Ok(list(process, &packages, &names)),
        _ => control(process, &packages, &names, action),
    }
}

fn warn(process: &mut Process<'_>, text: &str) {
    process
        .stderr
        .extend_from_slice(format!("dpkg-query: {text}\n").as_bytes());
}

fn show(process: &mut Process<'_>, packages: &[Stanza], names: &[&str], format: Option<&str>) -> Done {
    let format = format.map_or("${binary:Package}\\t${Version}\\n", |format| {
        format.strip_prefix('=').unwrap_or(format)
    });
    let mut code = 0;
    let patterns = if names.is_empty() { &["*"] } else { names };
    for pattern in patterns {
        let mut found = false;
        for package in packages.iter().filter(|package| package.is(pattern)) {
            found = true;
            let line = expand(format, package).map_err(|what| process.unsupported(what))?;
            process.stdout.extend_from_slice(line.as_bytes());
        }
        if !found {
            warn(process, &format!("no packages found matching {pattern}"));
            code = 1;
        }
    }
    Ok(code)
}

/// Expands `${Field;width}` and the escapes of `--showformat`; the error names a width that is too large.
fn expand(format: &str, package: &Stanza) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(inner) = tail.strip_prefix("${")
            && let Some(end) = inner.find('}')
        {
            let (name, width) = inner[..end].split_once(';').unwrap_or((&inner[..end], ""));
            let value = package.field(name);
            let width: i32 = width.parse().unwrap_or(0);
            // Rust's own formatting knows no larger ones.
            let columns = u16::try_from(width.unsigned_abs()).map_err(|_| format!("a field width of {width}"))?;
            let columns = usize::from(columns);
            // A positive width is flush right, a negative one flush left; longer values are cut.
            let cut: String = if columns > 0 {
                value.chars().take(columns).collect()
            } else {
                value
            };
            let padded = if width > 0 {
                format!("{cut:>columns$}")
            } else {
                format!("{cut:<columns$}")
            };
            out.push_str(&padded);
            rest = &inner[end + 1..];
        } else if tail.starts_with('\\') && tail.len() > 1 {
            let escape = tail[1..].chars().next().unwrap_or('\\');
            out.push(match escape {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            });
            rest = &tail[1 + escape.len_utf8()..];
        } else {
            out.push_str(&tail[..1]);
            rest = &tail[1..];
        }
    }
    Ok(out + rest)
}

fn status(process: &mut Process<'_>, packages: &[Stanza], names: &[&str]) -> Status {
    let mut code = 0;
    for name in names {
        if let Some(package) = packages.iter().find(|package| package.is(name)) {
            process.say(&package.text);
            process.say("");
        } else {
            warn(
                process,
                &format!("package '{name}' is not installed and no information is available"),
            );
            code = 1;
        }
    }
    code
}

fn list(process: &mut Process<'_>, packages: &[Stanza], names: &[&str]) -> Status {
    let patterns = if names.is_empty() { &["*"] } else { names };
    let mut code = 0;
    let mut rows: Vec<[String; 5]> = Vec::new();
    for pattern in patterns {
        let found: Vec<&Stanza> = packages.iter().filter(|package| package.is(pattern)).collect();
        if found.is_empty() {
            warn(process, &format!("no packages found matching {pattern}"));
            code = 1;
        }
        rows.extend(found.iter().map(|package| {
            [
                "db:Status-Abbrev",
                "binary:Package",
                "Version",
                "Architecture",
                "binary:Summary",
            ]
            .map(|field| package.field(field))
        }));
    }
    if rows.is_empty() {
        return code;
    }
    let width = |column: usize, least: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
            .max(least)
    };
    let (name, version, arch, summary) = (width(1, 14), width(2, 12), width(3, 12), width(4, 33));
    process.say("Desired=Unknown/Install/Remove/Purge/Hold");
    process.say("| Status=Not/Inst/Conf-files/Unpacked/halF-conf/Half-inst/trig-aWait/Trig-pend");
    process.say("|/ Err?=(none)/Reinst-required (Status,Err: uppercase=bad)");
    process.say(&format!(
        "||/ {:name$} {:version$} {:arch$} Description",
        "Name", "Version", "Architecture"
    ));
    let bars = [name, version, arch, summary].map(|columns| "=".repeat(columns));
    process.say(&format!("+++-{}", bars.join("-")));
    for [status, package, number, cpu, text] in rows {
        process.say(format!("{status} {package:name$} {number:version$} {cpu:arch$} {text}").trim_end());
    }
    code
}

/// The list of a package's paths; `None` if dpkg has none.
fn files(tree: &Tree, package: &Stanza) -> Option<String> {
    [
        format!("{INFO}/{}.list", package.qualified()),
        format!("{INFO}/{}.list", package.name()),
    ]
    .iter()
    .find_map(|path| tree.read_text(path).ok())
}

fn list_files(process: &mut Process<'_>, packages: &[Stanza], names: &[&str]) -> Done {
    let mut code = 0;
    let diversions = Diversions::load(&process.system.tree)?;
    for name in names {
        let found = packages.iter().find(|package| package.is(name));
        let Some((package, text)) = found.and_then(|package| Some((package, files(&process.system.tree, package)?)))
        else {
            warn(process, &format!("package '{name}' is not installed"));
            code = 1;
            continue;
        };
        for path in text.lines() {
            process.say(path);
            if let Some(diversion) = diversions
                .of(path)
                .filter(|diversion| diversion.package != package.name())
            {
                let line = match diversion.package.as_str() {
                    ":" => format!("locally diverted to: {}", diversion.to),
                    by => format!("diverted by {by} to: {}", diversion.to),
                };
                process.say(&line);
            }
        }
    }
    Ok(code)
}

fn search(process: &mut Process<'_>, packages: &[Stanza], names: &[&str]) -> Done {
    let mut code = 0;
    let diversions = Diversions::load(&process.system.tree)?;
    let lists: Vec<(String, String)> = packages
        .iter()
        .filter_map(|package| Some((package.qualified(), files(&process.system.tree, package)?)))
        .collect();
    for name in names {
        // Anything that is no absolute path is looked for anywhere in a path (dpkg-query(1), --search).
        let globs = name.contains(['*', '?', '[', '\\']);
        let pattern = if globs || name.starts_with('/') {
            (*name).to_owned()
        } else {
            format!("*{name}*")
        };
        let exact = !pattern.contains(['*', '?', '[', '\\']);
        let hit = |path: &str| {
            if exact {
                path == pattern
            } else {
                matches(&pattern, path)
            }
        };
        let mut lines: Vec<String> = Vec::new();
        for diversion in &diversions.0 {
            let by = match diversion.package.as_str() {
                ":" => "local diversion".to_owned(),
                by => format!("diversion by {by}"),
            };
            for (word, path) in [("from", &diversion.from), ("to", &diversion.to)] {
                if hit(path) {
                    lines.push(format!("{by} {word}: {path}"));
                }
            }
        }
        let mut owners: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
        for (package, text) in &lists {
            for path in text.lines().filter(|path| hit(path)) {
                owners.entry(path).or_default().push(package);
            }
        }
        lines.extend(
            owners
                .iter()
                .map(|(path, packages)| format!("{}: {path}", packages.join(", "))),
        );
        if lines.is_empty() {
            warn(process, &format!("no path found matching pattern {name}"));
            code = 1;
        }
        for line in lines {
            process.say(&line);
        }
    }
    Ok(code)
}

fn control(process: &mut Process<'_>, packages: &[Stanza], names: &[&str], action: &str) -> Done {
    let Some(package) = names
        .first()
        .and_then(|name| packages.iter().find(|package| package.is(name)))
    else {
        let name = names.first().unwrap_or(&"");
        return Err(Ending::with(1, format!("package '{name}' is not installed")));
    };
    let tree = &process.system.tree;
    let stems = [format!("{}.", package.qualified()), format!("{}.", package.name())];
    let mut found: Vec<(String, String)> = Vec::new();
    for (entry, _) in tree.read_dir(INFO)? {
        if let Some(part) = stems.iter().find_map(|stem| entry.strip_prefix(stem.as_str()))
            && part != "list"
        {
            found.push((part.to_owned(), format!("{INFO}/{entry}")));
        }
    }
    if let Some(wanted) = names.get(1) {
        found.retain(|(part, _)| part == wanted);
    }
    if found.is_empty() {
        return Ok(u8::from(names.len() > 1));
    }
    for (part, path) in found {
        match action {
            "-c" => process.say(&path),
            "--control-list" => process.say(&part),
            _ => {
                let content = process.system.tree.read(&path)?;
                process.stdout.extend_from_slice(&content);
            }
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::super::stanza::STATUS;
    use super::*;
    use crate::system::System;

    const STATUS_TEXT: &str = "Package: libc6\nStatus: install ok installed\nArchitecture: arm64\nMulti-Arch: same\n\
        Version: 2.41-12\nSource: glibc (2.41-12~x)\nConffiles:\n /etc/ld.so.conf 0123\nDescription: GNU C Library\n more\n\n\
        Package: dash\nStatus: install ok half-configured\nArchitecture: arm64\nVersion: 0.5\n";

    fn status(text: &str) -> System {
        let mut system = System::new("arm64", 0);
        system.tree.mkdir_all(INFO, 0o755).unwrap();
        system.tree.write(STATUS, text.to_owned(), 0o644).unwrap();
        system
    }

    #[test]
    fn widths_beyond_all_sense_are_refused() {
        let package = &installed(&status("Package: a\nStatus: install ok installed\nVersion: 1\n").tree).unwrap()[0];
        assert_eq!(expand("${Package;3}|", package).unwrap(), "  a|");
        assert_eq!(
            expand("${Package;-78119}", package).unwrap_err(),
            "a field width of -78119"
        );
    }

    fn query(args: &[&str]) -> (u8, String) {
        let mut system = status(STATUS_TEXT);
        system
            .tree
            .write(
                &format!("{INFO}/libc6:arm64.list"),
                "/.\n/lib\n/etc/ld.so.conf\n",
                0o644,
            )
            .unwrap();
        system
            .tree
            .write(&format!("{INFO}/dash.list"), "/.\n/bin/sh\n", 0o644)
            .unwrap();
        system
            .tree
            .write("/var/lib/dpkg/diversions", "/bin/sh\n/bin/sh.distrib\nbash\n", 0o644)
            .unwrap();
        let mut process = Process::new(&mut system, args);
        let status = settle(&mut process, run).unwrap();
        (status, String::from_utf8(process.stdout).unwrap())
    }

    #[test]
    fn formats_are_expanded() {
        let format =
            "-f=${binary:Package} ${Status} ${Architecture} ${source:Version} ${Nothing}|${Package;-7}|${Version;3}\\n";
        let (status, out) = query(&["dpkg-query", "-W", format, "libc6"]);
        assert_eq!(
            (status, out.as_str()),
            (0, "libc6:arm64 install ok installed arm64 2.41-12~x |libc6  |2.4\n")
        );
        let (_, out) = query(&["dpkg-query", "-f", "${Conffiles}", "-W", "libc6"]);
        assert_eq!(out, "\n /etc/ld.so.conf 0123");
        assert_eq!(query(&["dpkg-query", "-W"]).1, "dash\t0.5\nlibc6:arm64\t2.41-12\n");
        assert_eq!(query(&["dpkg-query", "-W", "nothing"]), (1, String::new()));
    }

    #[test]
    fn files_are_found_with_their_diversions() {
        assert_eq!(
            query(&["dpkg", "-S", "/etc/ld.so.conf"]),
            (0, "libc6:arm64: /etc/ld.so.conf\n".to_owned())
        );
        let (_, out) = query(&["dpkg", "-S", "bin/sh"]);
        assert_eq!(
            out,
            "diversion by bash from: /bin/sh\ndiversion by bash to: /bin/sh.distrib\ndash: /bin/sh\n"
        );
        assert_eq!(
            query(&["dpkg", "-L", "dash"]).1,
            "/.\n/bin/sh\ndiverted by bash to: /bin/sh.distrib\n"
        );
        assert_eq!(query(&["dpkg", "-S", "/nowhere"]).0, 1);
    }

    #[test]
    fn status_and_list_show_what_is_installed() {
        assert!(
            query(&["dpkg", "-s", "dash"])
                .1
                .starts_with("Package: dash\nStatus: install ok half-configured\n")
        );
        let (_, out) = query(&["dpkg", "-l", "dash", "libc6"]);
        let rows: Vec<&str> = out.lines().skip(5).collect();
        assert_eq!(rows[0], "iF  dash           0.5          arm64");
        assert!(rows[1].starts_with("ii  libc6:arm64    2.41-12      arm64        GNU C Library"));
    }
}
