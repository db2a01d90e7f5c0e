//! Scripts nobody would write, made by a grammar from a seed: where dash and we differ, one of us is wrong.

/// A script generator; the same seed gives the same script.
pub(crate) struct Generator {
    state: u64,
    depth: u32,
    files: u32,
    /// Inside of `f`, which must not call itself.
    in_f: bool,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            depth: 0,
            files: 0,
            in_f: false,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).expect("31 bits") % end
    }

    fn pick<'c>(&mut self, choices: &[&'c str]) -> &'c str {
        choices[self.below(choices.len())]
    }

    /// A whole script. It starts by defining what its statements use.
    pub(crate) fn script(&mut self) -> String {
        let option = self.pick(&[
            "",
            "",
            "set -e",
            "set -u",
            "set -f",
            "IFS=:",
            "trap 'echo trap $?' EXIT",
        ]);
        let mut script = format!(
            "cd /tmp; : > a.c; : > b.c; : > ab; set -- 'p q' r ''; x=1; y='a b'; z=; w='*.c:a::b '; n=5\n{option}\n"
        );
        for _ in 0..=self.below(6) {
            script.push_str(&self.statement());
            script.push('\n');
        }
        script.push_str("echo \"end $? $# $x|$y|$z|$n\"\n");
        script
    }

    fn list(&mut self) -> String {
        let first = self.statement();
        if self.below(2) == 0 {
            first
        } else {
            format!("{first}; {}", self.statement())
        }
    }

    fn statement(&mut self) -> String {
        self.depth += 1;
        let compound = if self.depth > 4 { 0 } else { 16 };
        let text = match self.below(14 + compound) {
            0..=3 => format!("echo {}", self.words()),
            4 => format!("{}={}", self.pick(&["x", "y", "z", "n"]), self.word()),
            5 => format!(
                "{}={} {}={}",
                self.pick(&["x", "y"]),
                self.word(),
                self.pick(&["z", "n"]),
                self.word()
            ),
            6 => format!("printf '%s|' {}; echo", self.words()),
            7 => format!("[ {} ]", self.test()),
            8 => self
                .pick(&[
                    "true",
                    "false",
                    ":",
                    "(exit 3)",
                    "shift",
                    "set -- \"$@\" new",
                    "unset z",
                    "n=$((n+1))",
                ])
                .to_owned(),
            9 => format!("set -- {}", self.words()),
            10 if self.in_f => self.pick(&["return 2", "exit 4", "break", "continue"]).to_owned(),
            10 => self
                .pick(&["f a b", "f", "break", "exit 5", "eval 'echo $x'", "eval false"])
                .to_owned(),
            11 => format!("{}={} eval 'echo \"<$x>\"'", self.pick(&["x", "y"]), self.word()),
            12 => {
                let file = self.file();
                format!("echo {} > {file}; read x y < {file}; echo \"$x|$y\"", self.words())
            }
            13 => format!("echo {} >> /missing/dir", self.word()),
            14 | 15 => format!("if {}; then {}; else {}; fi", self.list(), self.list(), self.list()),
            16 | 17 => format!("for x in {}; do {}; done", self.words(), self.list()),
            18 => format!(
                "case {} in {}) {};; {}|*c) {};; *) {};; esac",
                self.word(),
                self.pattern(),
                self.list(),
                self.pattern(),
                self.list(),
                self.list()
            ),
            19 => format!("( {} )", self.list()),
            20 => format!("{{ {}; }}", self.list()),
            21 | 22 => format!("{} && {}", self.statement(), self.statement()),
            23 => format!("{} || {}", self.statement(), self.statement()),
            24 => format!(
                "{{ {}; }} | while read x z; do echo \"[$x]\"; {}; done",
                self.list(),
                self.list()
            ),
            25 => format!("! {{ {}; }}", self.list()),
            26 => {
                let outer = std::mem::replace(&mut self.in_f, true);
                let text = format!("f() {{ local y; {}; {}; }}", self.statement(), self.list());
                self.in_f = outer;
                text
            }
            27 => {
                let count = format!("c{}", self.depth);
                format!(
                    "{count}=0; while [ ${count} -lt 2 ]; do {count}=$(({count}+1)); {}; done",
                    self.list()
                )
            }
            28 => format!(
                "{{ while read x; do {}; done <<E\n{}\nline two\nE\n}}",
                self.list(),
                self.word()
            ),
            _ => {
                let file = self.file();
                format!(
                    "{{ {}; }} > {file}; while read z; do echo \"$z\"; done < {file}",
                    self.list()
                )
            }
        };
        self.depth -= 1;
        text
    }

    /// A file of its own for each use: stages of a real pipeline run at the same time.
    fn file(&mut self) -> String {
        self.files += 1;
        format!("/scratch/out{}", self.files)
    }

    fn words(&mut self) -> String {
        let count = 1 + self.below(3);
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn word(&mut self) -> String {
        let count = 1 + self.below(2);
        (0..count).map(|_| self.piece()).collect()
    }

    fn piece(&mut self) -> String {
        self.depth += 1;
        let most = if self.depth > 5 { 10 } else { 19 };
        let text = match self.below(most) {
            0..=2 => self.pick(&["a", "b.c", "x=y", "1", "-n", "q/r", "b:c"]).to_owned(),
            3 => self
                .pick(&["'s q'", "''", "\"\"", "'*'", "\"a  b\"", "'$x'"])
                .to_owned(),
            4 => self
                .pick(&["*", "?b", "[ab]*", "*.c", "no*ne", "\\*", "\\ "])
                .to_owned(),
            5..=7 => self
                .pick(&["$x", "$y", "$z", "$w", "$#", "$1", "$2", "$@", "$*", "$n"])
                .to_owned(),
            8 | 9 => self
                .pick(&["\"$x\"", "\"$y\"", "\"$w\"", "\"$@\"", "\"$*\"", "\"a$@b\"", "\"$?\""])
                .to_owned(),
            10 => format!(
                "${{{}{}{}}}",
                self.name(),
                self.pick(&["-", ":-", "+", ":+", "=", ":="]),
                self.words()
            ),
            11 => format!(
                "\"${{{}{}{}}}\"",
                self.name(),
                self.pick(&["-", ":-", "+", ":+"]),
                self.piece()
            ),
            12 => format!(
                "${{{}{}{}}}",
                self.name(),
                self.pick(&["#", "##", "%", "%%"]),
                self.pattern()
            ),
            13 => format!(
                "\"${{{}{}{}}}\"",
                self.name(),
                self.pick(&["#", "##", "%", "%%"]),
                self.pattern()
            ),
            14 => format!("$({})", self.list()),
            15 => format!("\"$({})\"", self.list()),
            16 => format!("$(({}))", self.arithmetic()),
            17 => format!("${{#{}}}", self.pick(&["x", "y", "z", "w", "1"])),
            _ => "`echo b  c`".to_owned(),
        };
        self.depth -= 1;
        text
    }

    fn name(&mut self) -> &'static str {
        self.pick(&["x", "y", "z", "w", "u"])
    }

    fn pattern(&mut self) -> String {
        self.pick(&[
            "a", "*", "?", "a*", "*b", "[!a]", "[a-c]?", "\"*\"", "'a'*", "$x", "\"$y\"", "*:", "p*q", "\\*",
        ])
        .to_owned()
    }

    fn arithmetic(&mut self) -> String {
        let left = self.pick(&["1", "n", "$n", "7", "-3", "(n+2)", "0x10", "!n", "~1"]);
        let operator = self.pick(&["+", "-", "*", "/", "%", "<", "==", "&&", "||", "|", "^", "<<"]);
        let right = self.pick(&["2", "n", "3", "(1-4)", "n=4", "1?2:3"]);
        format!("{left} {operator} {}", if right == "n=4" { "(n=4)" } else { right })
    }

    fn test(&mut self) -> String {
        match self.below(6) {
            0 => format!("{} = {}", self.word(), self.word()),
            1 => format!("\"$x\" != {}", self.piece()),
            2 => format!("-n {}", self.piece()),
            3 => format!("-z \"{}\"", self.pick(&["$x", "$z", "$u"])),
            4 => format!(
                "$# {} {}",
                self.pick(&["-eq", "-gt", "-le"]),
                self.pick(&["0", "3", "$n"])
            ),
            _ => format!(
                "{} {}",
                self.pick(&["-e", "-f", "-d", "! -e"]),
                self.pick(&["ab", "a.c", "none", "/tmp", "\"\""])
            ),
        }
    }
}
