//! Any regular expression of any dialect, over any text; the first byte chooses the tool that takes it.
#![no_main]

use computatom_compose_fuzz::{command, halves, machine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&way, data)) = data.split_first() else { return };
    let (pattern, input) = halves(data);
    let text = String::from_utf8_lossy(input);
    let substitution = format!("s\u{1}{}\u{1}<&\\1>\u{1}g", pattern.replace(['\u{1}', '\n'], ""));
    let args: &[&str] = match way % 8 {
        0 => &["grep", "-e", &pattern],
        1 => &["grep", "-oE", "-e", &pattern],
        2 => &["grep", "-wi", "-e", &pattern],
        3 => &["grep", "-xF", "-e", &pattern],
        4 => &["expr", &text, ":", &pattern],
        5 => &["find", ".", "-regex", &pattern],
        6 => &["find", ".", "-regextype", "posix-extended", "-regex", &pattern],
        _ => &["sed", "-E", "-e", &substitution],
    };
    command(&mut machine(), args, input);
});
