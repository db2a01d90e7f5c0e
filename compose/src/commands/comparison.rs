//! `cmp` and `diff -q`.

use super::arguments::Arguments;
use super::operands;
use crate::shell::process::{Command, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("cmp", cmp), ("diff", diff)];

fn cmp(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-s --silent --quiet"])?;
    let (first, second) = match &args.operands[..] {
        [first, second] => (first.clone(), second.clone()),
        [first] => (first.clone(), "-".to_owned()),
        _ => return Ok(process.fail("one or two files are needed").max(2)),
    };
    let (contents, complete) = operands::read_all(process, &[first.clone(), second.clone()])?;
    let [(_, a), (_, b)] = &contents[..] else {
        debug_assert!(!complete);
        return Ok(2);
    };
    if a == b {
        return Ok(0);
    }
    if !args.has("-s") {
        if let Some(at) = a.iter().zip(b.iter()).position(|(x, y)| x != y) {
            let line = 1 + memchr::memchr_iter(b'\n', &a[..at]).count();
            process.say(&format!("{first} {second} differ: char {}, line {line}", at + 1));
        } else {
            let shorter = if a.len() < b.len() { &first } else { &second };
            process.fail(&format!("EOF on {shorter}"));
        }
    }
    Ok(1)
}

fn diff(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-q --brief", "-s --report-identical-files", "-N --new-file"])?;
    let [first, second] = &args.operands[..] else {
        return Ok(process.fail("two files are needed").max(2));
    };
    if [first, second]
        .iter()
        .any(|name| process.system.tree.is_dir(&process.path(name)))
    {
        return Err(process.unsupported("comparing directories"));
    }
    let mut contents = Vec::new();
    for name in [first, second] {
        match operands::read(process, name)? {
            Ok(content) => contents.push(content),
            Err(_) if args.has("-N") => contents.push(bytes::Bytes::new()),
            Err(error) => return Ok(process.fail(&format!("{name}: {}", error.errno)).max(2)),
        }
    }
    if contents[0] == contents[1] {
        if args.has("-s") {
            process.say(&format!("Files {first} and {second} are identical"));
        }
        return Ok(0);
    }
    if !args.has("-q") {
        return Err(process.unsupported("showing differences (only -q is known)"));
    }
    process.say(&format!("Files {first} and {second} differ"));
    Ok(1)
}

#[cfg(test)]
mod tests {
    use crate::commands::oracle::same;

    #[test]
    fn does_what_the_real_ones_do() {
        let start = &["a=one\ntwo\n", "b=one\ntwo\n", "c=one\nTwo\n", "short=one\n", "empty="];
        for other in ["a", "b", "c", "short", "empty", "nothing"] {
            same(start, &["cmp", "a", other], "");
            same(start, &["cmp", "-s", "a", other], "");
            same(start, &["diff", "-q", "a", other], "");
            same(start, &["diff", "-qN", "a", other], "");
        }
        same(start, &["cmp", "-s", "a", "-"], "one\ntwo\n");
        same(start, &["diff", "a", "b"], "");
        same(start, &["diff", "-s", "a", "b"], "");
    }
}
