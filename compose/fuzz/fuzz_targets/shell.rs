//! Any text is interpreted to an end: finished or halted, never a panic, never for ever; and what it uses is told without
//! running it.
#![no_main]

use computatom_compose::shell::inventory;
use computatom_compose_fuzz::{machine, script};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    script(&mut machine(), text, &[]);
    // The same as bash reads it: other constructs, another parser's branches.
    if !text.starts_with("#!") {
        script(&mut machine(), &format!("#!/bin/bash\n{text}"), &["a b".to_owned(), "c".to_owned()]);
    }
    // That it is no script is an answer, too.
    let _ = inventory::read(text);
});
