//! java, as far as packages' scripts run it: to see whether it is there, and to write the keystore.

use super::ending::{Done, settle};
use crate::shell::process::{Command, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("java", |process| settle(process, java))];

/// What adds to and removes from the keystore what it reads; the generator looks at all certificates.
const KEYSTORE_WRITER: &str = "/usr/share/ca-certificates-java/ca-certificates-java.jar";

/// `java -version` and `java -jar ca-certificates-java.jar`.
fn java(process: &mut Process<'_>) -> Done {
    let words: Vec<&str> = process.args[1..].iter().map(String::as_str).collect();
    if words == ["-version"] {
        return Ok(0);
    }
    if words.windows(2).any(|pair| pair == ["-jar", KEYSTORE_WRITER]) {
        process.read_stdin();
        process.system.pending.insert("java-keystore".to_owned());
        return Ok(0);
    }
    Err(process.unsupported("running a Java program").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    #[test]
    fn the_keystore_is_left_to_its_generator_and_other_programs_are_refused() {
        let mut system = System::new("arm64", 0);
        let mut run = |args: &[&str]| settle(&mut Process::new(&mut system, args), java);
        assert_eq!(run(&["java", "-version"]), Ok(0));
        assert_eq!(
            run(&["java", "-Xmx64m", "-jar", KEYSTORE_WRITER, "-storepass", "x"]),
            Ok(0)
        );
        assert!(run(&["java", "-jar", "other.jar"]).is_err());
        assert_eq!(system.pending.iter().collect::<Vec<_>>(), ["java-keystore"]);
    }
}
