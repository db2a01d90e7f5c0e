//! Any text is interpreted to an end: finished or halted, never a panic, never for ever.
#![no_main]

use computatom_compose_fuzz::{machine, script};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| script(&mut machine(), text, &[]));
