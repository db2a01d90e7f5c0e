//! Any shell pattern: in `case`, in `${x#…}`, as a name to expand, in `find -name`.
#![no_main]

use computatom_compose_fuzz::{command, halves, machine, script};
use libfuzzer_sys::fuzz_target;

const SCRIPT: &str = r#"cd /tmp; case $2 in $1) echo;; esac; set -- "$1" ${2#$1} ${2%%$1} $1 d/$1 */$1; echo "$@""#;

fuzz_target!(|data: &[u8]| {
    let (pattern, text) = halves(data);
    let text = String::from_utf8_lossy(text).into_owned();
    let mut system = machine();
    command(
        &mut system,
        &["find", "/", "-name", &pattern, "-o", "-ipath", &pattern],
        b"",
    );
    script(&mut system, SCRIPT, &[pattern, text]);
});
