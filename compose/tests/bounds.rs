//! Scripts that would not end, or would take all memory: each comes to an end, in a sentence that says why and where.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use computatom_compose::shell::process::{Halt, Origin};
use computatom_compose::shell::session::Session;
use computatom_compose::shell::{Finished, Halted, run_in};
use computatom_compose::system::System;

/// How a script ends.
#[derive(Clone, Copy)]
enum End {
    /// Halted at a bound; the sentence says this.
    Bound(&'static str),
    /// By itself, with this status: what it asks for is refused as on a real machine.
    Status(u8),
    /// Either, as long as it ends.
    Any,
}

const STEPS: &str = "its step budget is used up";
const WORD: &str = "a word, or the arguments of a command";
const DEEP: &str = "nests deeper than";
const BYTES: &str = "produces more than";

/// Name, script, end. `M` stands for a text of a mebibyte, `K` for one of a kibibyte.
const CASES: &[(&str, &str, End)] = &[
    ("an endless loop", "while :; do :; done", End::Bound(STEPS)),
    (
        "an endless loop of programs",
        "while true; do /bin/true; done",
        End::Bound(STEPS),
    ),
    (
        "an endless loop of subshells",
        "until false; do (exit 1); done",
        End::Bound(STEPS),
    ),
    (
        "an endless loop in the background",
        "while :; do sleep 1; done & wait",
        End::Bound(STEPS),
    ),
    (
        "an endless loop of substitutions",
        "while x=$(echo a); do :; done",
        End::Bound(STEPS),
    ),
    (
        "an endless loop in a pipeline",
        "while :; do echo y; done | head -n 1",
        End::Bound(STEPS),
    ),
    (
        "an endless loop in a trap",
        "trap 'while :; do :; done' EXIT; exit 3",
        End::Bound(STEPS),
    ),
    (
        "an endless loop whose errors nobody sees",
        "while :; do nothing || :; done 2>/dev/null",
        End::Bound(STEPS),
    ),
    ("a function that calls itself", "f() { f; }; f", End::Bound(DEEP)),
    (
        "functions that call each other",
        "f() { g x; }; g() { f \"$@\"; }; f",
        End::Bound(DEEP),
    ),
    (
        "a function that calls itself in a substitution",
        "unset x; f() { echo $(f); }; f",
        End::Bound(DEEP),
    ),
    (
        "a function that calls itself in a pipeline",
        "unset x; f() { f | f; }; f",
        End::Bound(DEEP),
    ),
    (
        "a function that calls itself in the background",
        "unset x; f() { f & }; f",
        End::Bound(DEEP),
    ),
    (
        "a text that evaluates itself",
        "x='eval \"$x\"'; eval \"$x\"",
        End::Bound(DEEP),
    ),
    (
        "a file that reads itself",
        "echo '. /tmp/s' > /tmp/s; . /tmp/s",
        End::Bound(DEEP),
    ),
    (
        "a script that runs itself",
        "printf '#!/bin/sh\\n/tmp/s\\n' > /tmp/s; chmod 755 /tmp/s; /tmp/s",
        End::Bound(DEEP),
    ),
    (
        "a shell that starts itself",
        "x='sh -c \"$x\"'; export x; sh -c \"$x\"",
        End::Bound(DEEP),
    ),
    (
        "commands that start each other",
        "set -- env; while [ $# -lt 600 ]; do set -- \"$@\" \"$@\"; done; \"$@\" true",
        End::Bound(DEEP),
    ),
    (
        "find that starts itself",
        "printf '#!/bin/sh\\nfind /tmp -exec /tmp/s \\\\;\\n' > /tmp/s; chmod 755 /tmp/s; /tmp/s",
        End::Bound(DEEP),
    ),
    (
        "a string that doubles",
        "x=a; while :; do x=$x$x; done",
        End::Bound(WORD),
    ),
    (
        "a string that doubles in a function's argument",
        "f() { f \"$1$1\"; }; f a",
        End::Any,
    ),
    (
        "a word of many copies",
        "echo \"M$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x\"",
        End::Bound(WORD),
    ),
    (
        "arguments of many copies",
        "for i in 1 2 3 4; do set -- \"$@\" \"$x\" \"$x\" \"$x\"; done",
        End::Bound(WORD),
    ),
    (
        "empty arguments that double",
        "set -- '' ''; while :; do set -- \"$@\" \"$@\"; done",
        End::Bound(WORD),
    ),
    (
        "an array that doubles",
        "#!/bin/bash\na=(x); while :; do a+=(\"${a[@]}\"); done",
        End::Bound(WORD),
    ),
    (
        "an array that grows",
        "#!/bin/bash\nwhile :; do a[i]=$x; i=$((i+1)); done",
        End::Bound(STEPS),
    ),
    (
        "variables that grow in number",
        "i=0; while :; do eval v$i=K; i=$((i+1)); done",
        End::Bound(STEPS),
    ),
    (
        "a here-document that doubles",
        "x=a\nwhile :; do x=$(cat <<E\n$x$x\nE\n); done",
        End::Bound(WORD),
    ),
    ("a here-document without an end", "cat <<E\nM\n", End::Status(0)),
    (
        "a default that doubles",
        "while :; do y=${n:-$y$y$x}; done",
        End::Bound(WORD),
    ),
    (
        "a file that doubles",
        "echo \"$x\" > /tmp/a; while :; do cat /tmp/a /tmp/a > /tmp/b; cat /tmp/b /tmp/b > /tmp/a; done",
        End::Any,
    ),
    (
        "a file that is read while it grows",
        "echo a > /tmp/f; while read -r l; do echo $l; echo $l; done < /tmp/f >> /tmp/f",
        End::Bound(STEPS),
    ),
    (
        "files without number",
        "i=0; while :; do echo \"$x\" > /tmp/$i; i=$((i+1)); done",
        End::Bound(STEPS),
    ),
    (
        "a pipe that grows",
        "f() { while :; do echo \"$x\"; done; }; f | cat > /dev/null",
        End::Any,
    ),
    (
        "a large state copied into subshells",
        "while :; do (:); done",
        End::Bound(STEPS),
    ),
    (
        "a large environment",
        "export x; while :; do /bin/true; done",
        End::Bound(STEPS),
    ),
    (
        "directories in each other",
        "cd /tmp; while mkdir K 2>/dev/null && cd K; do :; done; exit 3",
        End::Status(3),
    ),
    (
        "directories moved into each other",
        "cd /tmp; mkdir -p a/K/a; while mkdir b && mv a b && mv b a && mv a/b/a a/b/b; do :; done 2>/dev/null; exit 3",
        End::Status(3),
    ),
    (
        "links that lead to each other",
        "ln -s b /tmp/a; ln -s a /tmp/b; cat /tmp/a/x /tmp/a; cd /tmp/a",
        End::Status(2),
    ),
    (
        "links that multiply a path",
        "cd /tmp; mkdir d; ln -s d/. l0; for i in 1 2 3 4 5 6 7 8 9; do ln -s l$((i-1))/../l$((i-1)) l$i; done; ls l9",
        End::Any,
    ),
    (
        "a pathname that multiplies",
        "cd /tmp; for i in 1 2 3 4 5 6 7 8 9 10; do mkdir $i; done; echo */../*/../*/../*/../*/../*/../*/../*/../*",
        End::Any,
    ),
    (
        "a pattern that is tried at every place",
        "case M in *a*b*c*d*e*f*g*1) ;; esac; echo ${x##*a*b*c} ${x%%*a*b*c*d}",
        End::Any,
    ),
    (
        "a pattern as long as its text",
        "case $x in *${x}b*) ;; *x*${x}*) ;; esac; echo ${x#*$x$x}",
        End::Any,
    ),
    (
        "a replacement that multiplies",
        "#!/bin/bash\necho ${x//?/$x}",
        End::Any,
    ),
    ("many separators", "IFS=$x; echo $x$x", End::Any),
    (
        "a wide number",
        "printf '%999999999d%999999999d\\n' 1 2",
        End::Status(0),
    ),
    (
        "wide numbers without number",
        "y=$(printf '%%65535d%.0s' $(seq 1 9000)); printf \"$y\" > /tmp/f",
        End::Bound(BYTES),
    ),
    ("a sequence without end", "seq 1 99999999999999", End::Bound(BYTES)),
    (
        "awk without end",
        "awk 'BEGIN { while (1) x = x \"a\" }'",
        End::Bound(STEPS),
    ),
    ("sed without end", "echo a | sed ':a;s/a/aa/;ba'", End::Any),
    (
        "deep parentheses",
        "eval \"$(printf '(%.0s' $(seq 1 5000))\"",
        End::Bound(DEEP),
    ),
    (
        "deep substitutions",
        "eval \"echo $(printf '\\044(%.0s' $(seq 1 5000))\"",
        End::Bound(DEEP),
    ),
    (
        "deep expansions",
        "eval \"echo $(printf '\\044{x:-%.0s' $(seq 1 5000))\"",
        End::Any,
    ),
    (
        "deep arithmetic",
        "echo $(($(printf '(%.0s' $(seq 1 5000))1))",
        End::Status(2),
    ),
    (
        "deep negation",
        "eval \"$(printf '! %.0s' $(seq 1 5000)) true\"",
        End::Any,
    ),
    (
        "deep test",
        "[ $(printf '! %.0s' $(seq 1 50000)) a ]; [ $(printf '( %.0s' $(seq 1 50000)) a ]",
        End::Any,
    ),
    ("deep expr", "expr $(printf '( %.0s' $(seq 1 50000)) 1", End::Any),
    (
        "deep find",
        "find /tmp $(printf '! %.0s' $(seq 1 50000)) -name a; find /tmp $(printf '( %.0s' $(seq 1 50000)) -name a",
        End::Any,
    ),
    (
        "deep awk",
        "awk \"BEGIN { x = $(printf '(%.0s' $(seq 1 50000))1 }\"; awk \"BEGIN { x = $(printf '!%.0s' $(seq 1 4000))1 }\"",
        End::Any,
    ),
    (
        "deep regular expressions",
        "echo a | grep -E \"$(printf '(%.0s' $(seq 1 50000))\"; echo a | grep \"$(printf '\\\\(%.0s' $(seq 1 50000))\"",
        End::Any,
    ),
    (
        "a regular expression that multiplies",
        "echo aaaa | grep -E '((((a{1,100}){1,100}){1,100}){1,100}){1,100}'",
        End::Any,
    ),
    (
        "aliases that double",
        "alias a='b b '\nalias b='c c '\nalias c='d d '\nalias d='e e '\nalias e='f f '\nalias f='g g '\nalias g='h h '\nalias h='i i '\nalias i='j j '\nalias j='k k '\nalias k='l l '\nalias l='m m '\nalias m='n n '\nalias n='o o '\nalias o='p p '\nalias p=' '\na",
        End::Any,
    ),
    ("a device without end", "cat /dev/zero", End::Any),
];

/// Interprets a script that finds a mebibyte in `x`, with a fiftieth of the steps that a script has.
fn interpret(script: &str) -> Result<Finished, Halted> {
    let mut system = System::new("arm64", 1_700_000_000);
    for dir in ["/tmp", "/usr/bin", "/etc"] {
        system.tree.mkdir_all(dir, 0o755).expect("a fresh tree");
    }
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let large = "0123456789abcdef".repeat(1 << 16);
    let (bash, script) = match script.strip_prefix("#!/bin/bash\n") {
        Some(rest) => ("#!/bin/bash\n", rest),
        None => ("", script),
    };
    let script = script.replace('M', &large[..1 << 19]).replace('K', &large[..200]);
    // In a file, so that the script itself stays short.
    system.tree.write("/etc/large", large, 0o644).expect("a fresh tree");
    let script = format!("{bash}x=$(cat /etc/large)\n{script}");
    let origin = Origin {
        package: "app".to_owned(),
        script: "postinst".to_owned(),
    };
    let session = Session::lenient().with_steps(60_000).with_max_bytes(4 << 20);
    run_in(&session, &mut system, origin, &script, &[], &env)
}

#[test]
fn every_script_comes_to_an_end() {
    let mut wrong = String::new();
    for (name, script, end) in CASES {
        let started = Instant::now();
        let result = interpret(script);
        let (fine, got) = match (&result, end) {
            (Ok(finished), End::Status(status)) => (finished.status == *status, format!("{}", finished.status)),
            (Err(halted), End::Bound(what)) => (halted.to_string().contains(what), halted.to_string()),
            (Ok(_), End::Any) => (true, String::new()),
            (Err(halted), End::Any) => (!matches!(halted.halt, Halt::UnknownCommand(_)), halted.to_string()),
            (Ok(finished), _) => (false, format!("{finished:?}").chars().take(200).collect()),
            (Err(halted), _) => (false, halted.to_string()),
        };
        let took = started.elapsed();
        if std::env::var_os("COMPUTATOM_VERBOSE").is_some() {
            println!("{took:>8.2?} {:>5} MiB {name}: {got}", peak_memory() >> 20);
        }
        if !fine {
            let _ = writeln!(wrong, "{name}: {got}");
        }
        if let Err(halted) = &result
            && !halted.to_string().starts_with("package app, ")
        {
            let _ = writeln!(wrong, "{name}: no place in `{halted}`");
        }
        if took > Duration::from_mins(2) {
            let _ = writeln!(wrong, "{name}: took {took:.0?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let peak = peak_memory();
    assert!(peak < 2 << 30, "{} MiB of memory at the peak", peak >> 20);
}

/// The most memory this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc(5)");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.expect("VmHWM in kB") << 10
}

#[test]
fn the_place_of_an_endless_loop_is_told() {
    let halted = interpret("f() {\n  while true; do\n    :\n  done\n}\nf\n").unwrap_err();
    assert!(matches!(halted.halt, Halt::Limit(_)));
    assert_eq!(halted.origin.script, "postinst");
    // The loop, or the command in it.
    assert!([3, 4].contains(&halted.line), "{halted}");
    assert_eq!(
        halted.to_string(),
        format!(
            "package app, postinst, line {}: the script runs on and on: {STEPS}",
            halted.line
        )
    );
}
