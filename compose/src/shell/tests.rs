use proptest::prelude::*;

use super::*;

fn machine() -> System {
    let mut system = System::new("arm64", 1_700_000_000);
    for dir in ["/usr/bin", "/usr/sbin", "/tmp", "/root"] {
        system.tree.mkdir_all(dir, 0o755).unwrap();
    }
    system.tree.symlink("usr/sbin", "/sbin").unwrap();
    system
}

fn origin() -> Origin {
    Origin {
        package: "foo".to_owned(),
        script: "postinst".to_owned(),
    }
}

fn run_on(system: &mut System, session: &Session, script: &str) -> Result<Finished, Halted> {
    run_in(
        session,
        system,
        origin(),
        script,
        &["configure".to_owned()],
        &BTreeMap::new(),
    )
}

fn run(script: &str) -> Result<Finished, Halted> {
    run_on(&mut machine(), &Session::default(), script)
}

fn output(script: &str) -> String {
    String::from_utf8(run(script).unwrap().stdout).unwrap()
}

fn halted(script: &str) -> String {
    run(script).unwrap_err().to_string()
}

#[test]
fn an_unknown_command_halts_whatever_the_script_does_about_it() {
    let expected = "package foo, postinst, line 3: `frobnicate`: no such command in the vocabulary";
    for script in [
        "set +e\n\nfrobnicate 2>/dev/null || true\n",
        "\n\nif ! frobnicate; then :; fi\n",
        "\n\nx=$(frobnicate)\n",
        "\n\n(echo a | frobnicate) || :\n",
        "\n\ntrap 'echo t' EXIT; frobnicate\n",
        "f() {\n\nfrobnicate; }\n\nf || true\n",
        "\n\n\"frobnicate\" || true\n",
    ] {
        assert_eq!(halted(script), expected, "{script}");
    }
    assert!(halted("/opt/tool || true").contains("`/opt/tool`: no such command"));
}

#[test]
fn asking_for_a_command_is_answered_by_the_tree() {
    let mut system = machine();
    system.tree.write("/usr/sbin/there", "\x7fELF", 0o755).unwrap();
    system.tree.write("/usr/sbin/plain", "", 0o644).unwrap();
    let script = "command -v there; command -v plain || echo no; command -v dpkg-query || echo none
        [ -x /sbin/there ] && echo executable; type missing >/dev/null 2>&1 || echo missing";
    let finished = run_on(&mut system, &Session::default(), script).unwrap();
    assert_eq!(
        String::from_utf8(finished.stdout).unwrap(),
        "/usr/sbin/there\nno\nnone\nexecutable\nmissing\n"
    );
    let error = run_on(&mut system, &Session::default(), "there --now || true").unwrap_err();
    assert_eq!(error.halt, Halt::UnknownCommand("there".to_owned()));
}

#[test]
fn a_halt_inside_a_script_of_the_tree_names_that_script() {
    let mut system = machine();
    let inner = "#!/bin/sh\nset -e\n\nfrobnicate --now\n";
    system.tree.write("/usr/sbin/update-things", inner, 0o755).unwrap();
    let error = run_on(&mut system, &Session::default(), "\nupdate-things || true\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "package foo, /usr/sbin/update-things, line 4: `frobnicate`: no such command in the vocabulary"
    );
    system
        .tree
        .write("/usr/lib.sh", "\nf() {\n frobnicate\n}\n", 0o644)
        .unwrap();
    let error = run_on(&mut system, &Session::default(), ". /usr/lib.sh\n\n\n\n\nf\n").unwrap_err();
    assert_eq!((error.origin.script.as_str(), error.line), ("/usr/lib.sh", 3));
}

#[test]
fn scripts_for_other_interpreters_are_unknown_commands() {
    let mut system = machine();
    system
        .tree
        .write("/usr/bin/tool", "#!/usr/bin/perl\nprint 1;\n", 0o755)
        .unwrap();
    let error = run_on(&mut system, &Session::default(), "tool").unwrap_err();
    assert_eq!(error.halt, Halt::UnknownCommand("tool".to_owned()));
    let error = run("#!/usr/bin/python3\nimport os\n").unwrap_err();
    assert_eq!(
        (error.line, error.halt),
        (1, Halt::UnknownCommand("#!/usr/bin/python3".to_owned()))
    );
}

#[test]
fn what_is_not_supported_halts_with_its_name() {
    for (script, what) in [
        ("ulimit -n 10", "`ulimit`: this builtin is not supported"),
        ("kill -9 1", "`kill`: sending -9 is not supported"),
        (
            "#!/bin/bash\nx=([1]=b)",
            "`name=([index]=`: an array with indices is not supported",
        ),
        (
            "#!/bin/bash\necho ${x[@]:1}",
            "`${name[@]…}`: an operator on all elements of an array is not supported",
        ),
        (
            "alias x='a | b'\nx",
            "`alias x`: an alias for more than the words of a command is not supported",
        ),
        (
            "#!/bin/bash\necho $RANDOM",
            "`$RANDOM`: this variable of bash is not supported",
        ),
        ("#!/bin/bash\ndeclare -A x", "`declare`: this builtin is not supported"),
        (
            "#!/bin/bash\necho $((x++))",
            "`((`: the operator ++ of bash is not supported",
        ),
        ("printf '%q' a", "`printf`: the conversion %q is not supported"),
        ("set -n", "`set`: the option -n is not supported"),
        (
            "x=$(printf '\\377')",
            "`$(…)`: output that is not UTF-8 in a variable is not supported",
        ),
        ("echo 1 > /proc/sys/vm/swappiness", ""),
    ] {
        if what.is_empty() {
            // No /proc in this tree: the directory is missing, as in a chroot without it.
            assert_eq!(run(script).unwrap().status, 2);
        } else {
            assert!(halted(script).ends_with(what), "{}", halted(script));
        }
    }
}

#[test]
fn runaway_scripts_hit_a_bound() {
    let few = || Session::default().with_steps(10_000);
    for (session, script, what) in [
        (few(), "while :; do :; done", "step budget"),
        (few(), "f() { while true; do echo y; done | cat; }; f", "step budget"),
        (Session::default(), "f() { f; }; f", "nests deeper"),
        (Session::default(), "f() { x=$(f); }; f", "nests deeper"),
        (Session::default(), "f() { eval f; }; f", "nests deeper"),
        (
            Session::default(),
            "x=. ; echo '. /tmp/s' > /tmp/s; . /tmp/s",
            "nests deeper",
        ),
        (
            Session::default(),
            "printf '#!/bin/sh\\n/tmp/s\\n' > /tmp/s; sh /tmp/s; sh -c 'sh -c \"sh /tmp/l\"'; f() { sh -c f; sh /tmp/s; }; echo 'sh /tmp/r' > /tmp/r; sh /tmp/r",
            "nests deeper",
        ),
        (
            Session::default().with_max_bytes(1 << 20),
            "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done",
            "bytes",
        ),
        (
            Session::default().with_max_bytes(1 << 16),
            "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done > /tmp/f",
            "bytes",
        ),
    ] {
        let error = run_on(&mut machine(), &session, script).unwrap_err();
        assert!(
            matches!(&error.halt, Halt::Limit(text) if text.contains(what)),
            "{script}: {error}"
        );
        // The session is fit for the next script.
        assert_eq!(session.depth(), 0, "{script}");
    }
}

#[test]
fn a_script_has_a_size() {
    let large = format!("#{}\necho end", "x".repeat(3 << 20));
    assert_eq!(output(&large), "end\n");
    let larger = format!("#{}\necho end", "x".repeat(5 << 20));
    assert!(
        halted(&larger).contains("none has more than 4194304"),
        "{}",
        halted(&larger)
    );
}

#[test]
fn a_session_is_shared_by_scripts() {
    let session = Session::default().with_steps(5);
    let mut system = machine();
    assert!(run_on(&mut system, &session, ":; :; :").is_ok());
    assert!(run_on(&mut system, &session, ":; :; :").is_err());
}

#[test]
fn dpkg_gives_arguments_and_environment() {
    let env = BTreeMap::from([("DPKG_MAINTSCRIPT_PACKAGE".to_owned(), "foo".to_owned())]);
    let script = "#!/bin/sh -e\necho $0 $1 $DPKG_MAINTSCRIPT_PACKAGE $PATH $-; false; echo no";
    let args = ["configure".to_owned()];
    let finished = run_script(&mut machine(), origin(), script, &args, &env).unwrap();
    assert_eq!(finished.status, 1);
    assert_eq!(
        String::from_utf8(finished.stdout).unwrap(),
        format!("postinst configure foo {PATH} e\n")
    );
}

#[test]
fn confmodule_is_ours() {
    assert_eq!(
        output("set -e; . /usr/share/debconf/confmodule; echo hidden; echo shown >&2; exec 3>&-; exec >&2"),
        ""
    );
    let finished = run(". /usr/share/debconf/confmodule; echo to-stderr; echo for-debconf >&3").unwrap();
    assert_eq!(finished.stderr, b"to-stderr\n");
    assert!(halted("db_frobnicate").contains("`db_frobnicate`"));
}

#[test]
fn spawning_runs_builtins_commands_and_scripts() {
    let mut system = machine();
    system
        .tree
        .write(
            "/usr/bin/hello",
            "#!/bin/sh\nread x\necho \"hello $1 $x $A\"\nexit 3\n",
            0o755,
        )
        .unwrap();
    let mut parent = Process::new(&mut system, &["env"]);
    parent.env.insert("A".to_owned(), "b".to_owned());
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(parent.spawn(&words("hello you"), Bytes::from("in\n")), Ok(3));
    assert_eq!(parent.spawn(&words("printf %s-%s\\n x y"), Bytes::new()), Ok(0));
    assert_eq!(parent.spawn(&words("[ a = b ]"), Bytes::new()), Ok(1));
    assert_eq!(parent.stdout, b"hello you in b\nx-y\n");
    assert_eq!(
        parent.spawn(&words("frobnicate"), Bytes::new()),
        Err(Halt::UnknownCommand("frobnicate".to_owned()))
    );
    // `cd` is a builtin only: a program cannot start it.
    assert!(parent.spawn(&words("cd /"), Bytes::new()).is_err());
}

#[test]
fn syntax_errors_end_the_script_with_two() {
    let finished = run("echo a\nif\n").unwrap();
    assert_eq!((finished.status, finished.stdout.as_slice()), (2, b"a\n".as_slice()));
    assert!(
        String::from_utf8(finished.stderr)
            .unwrap()
            .starts_with("postinst: 3: Syntax error: ")
    );
}

/// Snippets that do something, in any order.
fn snippets() -> impl Strategy<Value = String> {
    let snippet = prop::sample::select(vec![
        "x=$x$1",
        "set -e",
        "set -u",
        "f",
        "f() { echo $1; shift; f \"$@\"; }",
        "g() { return ${1:-3}; }",
        "g 300",
        "cd /tmp",
        "cd ..",
        "echo *",
        "echo ${x#?*}",
        "echo ${x%%[a-c]*}",
        "for i in $x; do echo $i; done",
        "eval \"$x\"",
        "x='a b  c'",
        "IFS=:",
        "unset IFS",
        "set -- a b c",
        "shift",
        "read y z",
        "getopts ab: o",
        "trap 'echo t' EXIT",
        "(exit 4)",
        "echo $((x + 1))",
        "x=$((1 << 70))",
        "printf '%s %5d|' a 1 b",
        "exec 3>&1",
        "echo a >&3",
        "exec 3>&-",
        "> /tmp/f",
        "echo b >> /tmp/f",
        "[ -e /tmp/f -a $# -gt 1 ]",
        "while read l; do echo $l; done < /tmp/f",
        "break",
        "case $x in a*) echo a;; *) echo b;; esac",
        "x=$(echo a; echo b)",
        "local v=1",
        "export x",
        "readonly r=1",
        "r=2",
        "if [ $# = 0 ]; then exit; fi",
        "! :",
        "umask 077",
        "command -v f",
        "type g",
        "exec >/tmp/o",
        ". /tmp/f",
        "x=é",
        "echo ${#x} ${x:-$y}",
        "unset x",
        "cat <<E\n$x\nE",
        "printf",
        "test a b c d",
        "echo \"${@}\" \"$*\"",
    ]);
    let joined = prop::sample::select(vec!["; ", "\n", " && ", " || ", " | "]);
    prop::collection::vec((snippet, joined), 0..12).prop_map(|parts| {
        parts
            .into_iter()
            .flat_map(|(snippet, joined)| [snippet, joined])
            .chain([":"])
            .collect()
    })
}

proptest! {
    #[test]
    fn no_script_makes_the_evaluator_panic(script in snippets(), text in any::<String>(), bash: bool) {
        let session = Session::lenient().with_steps(2000);
        let first = if bash { "#!/bin/bash\n" } else { "" };
        let _ = run_on(&mut machine(), &session, &format!("{first}{script}"));
        let _ = run_on(&mut machine(), &session, &format!("{first}{text}"));
    }
}
