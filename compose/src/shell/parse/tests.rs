use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn parse(text: &str, bash: bool) -> Parsed<List> {
    Parser::new(text, 1, bash).all_commands()
}

/// Shell scripts of the machine the test runs on: all Debian's.
fn scripts_of_this_machine() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for dir in ["/var/lib/dpkg/info", "/usr/bin", "/usr/sbin"] {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(content) = std::fs::read(entry.path()) else {
                continue;
            };
            if !content.starts_with(b"#!") || !entry.path().is_file() {
                continue;
            }
            if let Ok(text) = String::from_utf8(content) {
                found.push((entry.path(), text));
            }
        }
    }
    found
}

#[test]
fn scripts_of_this_machine_parse() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (path, text) in scripts_of_this_machine() {
        let Some(interpreter) = crate::shell::programs::interpreter(&text) else {
            continue;
        };
        match parse(&text, interpreter.bash) {
            Ok(_) => count += 1,
            // What we say we lack, we lack; nothing that dash takes may be called wrong.
            Err(ParseError {
                problem: Problem::Halt(_),
                ..
            }) if interpreter.bash => {}
            Err(error) => wrong.push((path, error)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        count > 20,
        "this machine has only {count} shell scripts: run the tests on Debian"
    );
}

#[test]
fn lines_are_kept() {
    let list = parse("a\n\nb 'x\ny'\n# c\nd $(e\nf) \\\n g\ncat <<E\nx\ny\nE\nh\n", false).unwrap();
    let lines: Vec<usize> = list.0.iter().map(|item| item.first.stages[0].line).collect();
    assert_eq!(lines, [1, 3, 6, 9, 13]);
}

#[test]
fn errors_name_their_line() {
    for (text, line, message) in [
        ("a\nif b; then\n", 3, "end of file unexpected"),
        ("a\nb )", 2, "\")\" unexpected"),
        ("fi\n", 1, "\"fi\" unexpected"),
        ("a &&\n;", 2, "\";\" unexpected"),
        ("echo 'a\nb", 1, "Unterminated quoted string"),
        ("echo ${x", 1, "Missing '}'"),
        ("case a in b) c", 1, "end of file unexpected"),
        ("{ }", 1, "\"}\" unexpected"),
    ] {
        let error = parse(text, false).unwrap_err();
        assert_eq!(
            (error.line, error.problem),
            (line, Problem::Syntax(message.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn what_we_lack_is_said() {
    for text in [
        "x=([2]=b)",
        "local x=(a b)",
        "echo ${x[@]#a}",
        "for ((i=0;i<1;i++)); do :; done",
        "select x in a; do :; done",
        "cat <(echo)",
        "[[ a =~ b ]]",
    ] {
        let error = parse(text, true).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Halt(Halt::Unsupported { .. })),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn deep_nesting_is_refused_not_survived_by_luck() {
    for open in [
        "(",
        "{ ",
        "$(",
        "${x:-",
        "\"$(",
        "if ",
        "! (",
        "case a in a) ",
        "[[ ( ",
        "$((",
        "f() ",
    ] {
        for bash in [false, true] {
            let text = open.repeat(100_000);
            assert!(parse(&text, bash).is_err(), "{open}");
        }
    }
}

/// Fragments that mean something to a shell, in any order.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(vec![
        "if ",
        "then ",
        "else ",
        "fi ",
        "for x in ",
        "do ",
        "done ",
        "while ",
        "case a in ",
        "a) ",
        ";; ",
        "esac ",
        "{ ",
        "} ",
        "( ",
        ") ",
        "\n",
        ";",
        "&&",
        "||",
        "|",
        "&",
        "! ",
        "a ",
        "x=1 ",
        "$x ",
        "${x:-",
        "${x##",
        "}",
        "$(",
        "`",
        "$((",
        "))",
        "\"",
        "'",
        "\\",
        "<",
        ">",
        ">>",
        "<<E\n",
        "E\n",
        "<<-'F'\n",
        "F\n",
        "2>&1 ",
        "#",
        "f() ",
        "[[ ",
        "]] ",
        "=~",
        "~",
        "é",
        "\0",
        "\t",
        "*",
        "[",
        "function ",
    ]);
    prop::collection::vec(fragment, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), bash: bool) {
        let _ = parse(&text, bash);
    }

    #[test]
    fn no_mix_of_syntax_makes_the_parser_panic(text in fragments(), bash: bool) {
        let _ = parse(&text, bash);
    }
}
