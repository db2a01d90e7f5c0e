//! `awk`: the language without functions of one's own, `getline`, pipes and files to write.

use std::rc::Rc;

use bytes::Bytes;

use super::arguments::Arguments;
use super::{escapes, operands};
use crate::shell::process::{Command, Outcome, Process};
use machine::{Machine, Stop};
use syntax::Rule;

/// Expressions and what they are worth.
mod expressions;

/// `printf`'s conversions.
mod format;

/// The functions of the language.
mod functions;

/// Words of a program.
mod lexer;

/// Runs a program, statement by statement.
mod machine;

/// Programs as trees.
mod parser;

/// Records and their fields.
mod records;

/// Statements of a program.
mod statements;

/// The tree of a program.
mod syntax;

/// Numbers, texts and what is both.
mod value;

pub(super) const COMMANDS: &[(&str, Command)] = &[("awk", awk), ("mawk", awk)];

/// Bytes of a program: expressions nest as deep as there are characters.
const MAX_PROGRAM: usize = 8192;

fn awk(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::in_order(process, &["-F =", "-v =", "-f ="])?;
    let mut operands = args.operands.as_slice();
    let mut sources = Vec::new();
    for name in args.values("-f") {
        match operands::read(process, name)? {
            Ok(text) => sources.push(String::from_utf8_lossy(&text).into_owned()),
            Err(error) => {
                return Ok(process
                    .fail(&format!("couldn't open file {name}: {}", error.errno))
                    .max(2));
            }
        }
    }
    if sources.is_empty() {
        let Some((program, rest)) = operands.split_first() else {
            return Ok(process.fail("a program is needed").max(2));
        };
        sources.push(program.clone());
        operands = rest;
    }
    let program = sources.join("\n");
    if program.len() > MAX_PROGRAM {
        return Err(process.unsupported(format!("a program of {} bytes", program.len())));
    }
    let rules =
        parser::parse(&program).map_err(|what| process.unsupported(format!("{what} in program '{program}'")))?;
    let rules: Rc<[Rule]> = rules.into();
    let mut machine = Machine::new(process.env.clone(), process.session.clone());
    if let Some(separator) = args.value("-F") {
        machine.assign_input("FS", &text(separator));
    }
    for assignment in args.values("-v") {
        let Some((name, value)) = assignment.split_once('=') else {
            return Ok(process.fail(&format!("improper assignment: -v {assignment}")).max(2));
        };
        machine.assign_input(name, &text(value));
    }
    let status = match run(process, &mut machine, &rules, operands) {
        Ok(status) | Err(Stop::Exit(status)) => status,
        Err(Stop::Halt(halt)) => return Err(halt),
        Err(Stop::Unsupported(what)) => return Err(process.unsupported(format!("{what} in program '{program}'"))),
        Err(Stop::Next | Stop::Break | Stop::Continue) => {
            return Err(process.unsupported(format!(
                "next, break or continue in a strange place of program '{program}'"
            )));
        }
    };
    process.stdout.append(&mut machine.output);
    process.stderr.append(&mut machine.errors);
    Ok(status)
}

fn text(written: &str) -> String {
    String::from_utf8_lossy(&escapes::unescape(written)).into_owned()
}

/// `BEGIN`, the input, `END`.
fn run(process: &mut Process<'_>, machine: &mut Machine, rules: &Rc<[Rule]>, operands: &[String]) -> Result<u8, Stop> {
    let mut status = match machine.run_named(rules, true) {
        Err(Stop::Exit(status)) => Some(status),
        other => other.map(|()| None)?,
    };
    let reads = rules.iter().any(|rule| !rule.is_begin());
    if reads && status.is_none() {
        status = match read_all(process, machine, rules, operands) {
            Err(Stop::Exit(status)) => Some(status),
            other => other.map(|()| None)?,
        };
    }
    // `exit` still runs END; an `exit` there without a value keeps the status.
    match machine.run_named(rules, false) {
        Err(Stop::Exit(last)) => Ok(if last == 0 { status.unwrap_or(0) } else { last }),
        other => other.map(|()| status.unwrap_or(0)),
    }
}

fn read_all(
    process: &mut Process<'_>,
    machine: &mut Machine,
    rules: &Rc<[Rule]>,
    operands: &[String],
) -> Result<(), Stop> {
    let mut any = false;
    for operand in operands {
        if let Some((name, value)) = operand.split_once('=').filter(|(name, _)| lexer::is_name(name)) {
            machine.assign_input(name, &text(value));
            continue;
        }
        any = true;
        match operands::read(process, operand).map_err(Stop::Halt)? {
            Ok(content) => machine.read(rules, operand, &content)?,
            Err(error) => {
                process.fail(&format!("cannot open \"{operand}\" ({})", error.errno));
                return Err(Stop::Exit(2));
            }
        }
    }
    if !any {
        let input: Bytes = process.read_stdin();
        machine.read(rules, "-", &input)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::oracle::{ours, real, same, with_process};
    use crate::shell::session::Session;

    const TEXT: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:nologin\n\nPackage: libc6\nStatus: install ok installed\nVersion: 2.41-12\n  a  b\tc 10 9 1e2 0x1f\n";

    #[test]
    fn programs() {
        let mut different = Vec::new();
        for program in [
            "{print}",
            "{print $1}",
            "{ print $2, $1 }",
            "{print $NF}",
            "NR==2",
            "/^Package:/",
            "!/^P/",
            "END{print NR}",
            "BEGIN{print 1+2*3, 2^3^2, -2^2, 7%3, 1/4}",
            "{if ($1 ~ /^Package:/) { package=$2 } else if ($0 ~ /^Status: .* installed$/) { print package }}",
            "$2 ~ /console/ && $NF ~ /:[0-9]/ { print $NF }",
            "NF",
            "NF>2{print NF}",
            "{n+=NF} END{print n}",
            "{a[$1]++} END{print a[\"Package:\"], length(a)+0}",
            "NR==1,NR==3",
            "/Package/,/Version/{print NR\": \"$0}",
            "{gsub(/o/,\"0\");print}",
            "{n=gsub(/[0-9]+/,\"<&>\");print n,$0}",
            "{sub(/^ +/,\"\");print}",
            "{print length}",
            "{print length($1)}",
            "{print substr($0,2,5)}",
            "{print substr($0,-1) substr($0,3)}",
            "{print index($0,\"o\")}",
            "{n=split($0,p,\":\");print n,p[1],p[n]}",
            "{if(match($0,/[0-9]+/))print RSTART,RLENGTH}",
            "{print toupper($1),tolower($1)}",
            "BEGIN{printf \"%s|%5s|%-5s|%05d|%x|%c|%.2f|%e|%g|%%\\n\",\"a\",\"b\",\"c\",42,255,65,3.14159,12345.678,0.0001}",
            "BEGIN{printf \"%d %i %o %5.1f|%+d|% d\\n\", 3.9, -3.9, 8, 2.25, 5, 5}",
            "{$2=\"X\";print}",
            "{$5=\"new\";print;print NF}",
            "BEGIN{OFS=\"-\"} {$1=$1;print}",
            "{NF=2;print}",
            "BEGIN{FS=\":\"}{print $1}",
            "BEGIN{x=\"A\";y=x x;print y (1==1) (\"10\"<\"9\") (10<9)}",
            "{print ($4>$5)}",
            "BEGIN{i=5;print i++ + ++i, i--, --i}",
            "BEGIN{while(i<3)print i++}",
            "BEGIN{for(i=0;i<3;i++){if(i==1)continue;print i}}",
            "BEGIN{do{print n++}while(n<2)}",
            "BEGIN{a[1];a[2]=3;if(1 in a)print \"in\";delete a[1];if(!(1 in a))print \"out\"}",
            "BEGIN{a[1,2]=3;for(k in a){split(k,p,SUBSEP);print p[1],p[2]}}",
            "NR==2{next}{print NR}",
            "NR==2{exit}{print}END{print \"end\"}",
            "BEGIN{exit 3}END{print \"e\"}",
            "BEGIN{print length(\"abc\") > \"/dev/stdout\"}",
            "BEGIN{print 1e6, 1000000, 0.1+0.2, 1e20, 3.0, \"3.0\"+0}",
            "BEGIN{print -3 % 2, 2^3, !0, !\"\", !\"a\"}",
            "BEGIN { print 1,\n 2 ; print \"x\" ; }",
            "# comment\n{ print $1 } # more",
            "BEGIN{x+=5;x-=2;x*=3;x/=2;print x;x%=4;print x}",
            "BEGIN{print 1?\"a\":\"b\", 0?1:0?2:3}",
            "BEGIN{print \"a\\tb\\\"c\\\\d\\/e\"}",
            "$1==\"Package:\"{print $2;found=1}END{if(!found)exit 1}",
            "{ print $1; } ; END { print \"done\" }",
            "BEGIN{a=\"x\";a=a \"y\" \"z\";print a}",
            "NF{print $(NF-1)}",
            "BEGIN{if(\"abc\"~\"b\")print \"m\";if(\"abc\"!~/z/)print \"n\"}",
            "BEGIN{print substr(\"hello\",2)}",
            "BEGIN{print int(3.7),int(-3.7),int(\"12abc\")}",
            "{print NR, FNR, FILENAME}",
            "/a/||/b/",
            "/a/&&/b/{print \"ab\"}",
            "BEGIN{s=sprintf(\"%03d\",7);print s}",
            "BEGIN{RS=\"\"}{print NR\": \"$1}",
            "BEGIN{RS=\";\"}{print}",
            "BEGIN{print index(\"foobar\",\"bar\")}",
            "$3==10",
            "$3==\"10\"",
            "BEGIN { if (!(3 in x)) print \"no\"; if ((1,2) in x) print \"yes\" }",
            "{ sum += $3 } END { print sum/NR }",
            "BEGIN { print; print \"\" }",
            "BEGIN{print length()}",
            "{print $1 > \"/dev/stderr\"}",
            "BEGIN{while(1){if(++n>3)break};print n}",
            "BEGIN{print 1 \" \" -1}",
            "{ print $1, $2 > \"/dev/stdout\" }",
            "BEGIN{print (1,2) in a}",
            "BEGIN{print 2 \"\" 3 + 4}",
            "BEGIN{$0=\"a b c\";print NF,$2}",
            "BEGIN{$3=\"z\";print $0;print NF}",
            r#"BEGIN{print "\x27" "a\x41b" "\x4142" "\\x41" "\x4"}"#,
        ] {
            for args in [&["mawk", program][..], &["mawk", "-F", ":", program]] {
                let (mine, theirs) = (ours(&[], args, TEXT), real(&[], &[args], TEXT));
                if mine != theirs {
                    different.push((args.to_vec(), mine.stdout, theirs.stdout));
                }
            }
        }
        assert!(different.is_empty(), "program, ours, theirs: {different:#?}");
    }

    #[test]
    fn options_and_operands() {
        let start = &["a=1 one\n2 two\n", "b=3 three\n", "p.awk=NR==1{print v, $1}\n"];
        for args in [
            &["mawk", "{print FILENAME,FNR,NR,$2}", "a", "b"][..],
            &["mawk", "-v", "v=x\\ty", "{print v}", "a"],
            &["mawk", "-f", "p.awk", "v=1", "a"],
            &["mawk", "-F", "[ ]", "{print $2}", "a"],
            &["mawk", "-F|", "{print $2}", "-"],
            &["mawk", "-Ft", "{print $2}", "-"],
            &["mawk", "-F", "\\t", "{print $2}", "-"],
            &["mawk", "--", "{print}", "a"],
            &["mawk", "{print}", "nothing"],
            &["mawk", "BEGIN{print ENVIRON[\"LC_ALL\"]}"],
        ] {
            same(start, args, "p|q\tr\n");
        }
    }
    /// How `awk` ends within a small budget.
    fn ends(program: &str, input: &str) -> Result<String, String> {
        with_process(&["awk", program], input.as_bytes(), |process| {
            process.session = Session::default().with_steps(10_000).with_max_bytes(1 << 16);
            match awk(process) {
                Ok(_) => Ok(String::from_utf8(process.stdout.clone()).unwrap()),
                Err(halt) => Err(halt.to_string()),
            }
        })
    }

    #[test]
    fn what_never_ends_or_only_grows_halts() {
        for program in [
            "BEGIN { while (1) ; }",
            "BEGIN { for (;;) print }",
            "BEGIN { do { x = x \"abcdefgh\" x } while (1) }",
            "BEGIN { x = \"aaaaaaaa\"; while (1) gsub(/a/, \"aaaaaaaa\", x) }",
        ] {
            let halt = ends(program, "").unwrap_err();
            assert!(
                halt.contains("budget") || halt.contains("more than"),
                "{program}: {halt}"
            );
        }
    }

    #[test]
    fn widths_beyond_all_sense_are_refused() {
        for program in [
            "BEGIN { printf \"%99999f\", 1 }",
            "BEGIN { printf \"%.99999g\", 1 }",
            "BEGIN { printf \"%*d\", 1e9, 1 }",
        ] {
            let halt = ends(program, "").unwrap_err();
            assert!(halt.contains("a width or precision of "), "{halt}");
        }
    }

    #[test]
    fn matches_never_split_a_character() {
        assert_eq!(ends("{ gsub(/x*/, \"-\"); print }", "ä\n").unwrap(), "-ä-\n");
        assert_eq!(ends("{ gsub(/\\244/, \"-\"); print }", "xäy\n").unwrap(), "x-y\n");
        assert_eq!(
            ends("{ n = split($0, a, /\\303/); print n a[1] a[2] }", "xäy\n").unwrap(),
            "2xy\n"
        );
    }
}
