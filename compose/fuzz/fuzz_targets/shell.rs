//! Any text is interpreted to an end: finished or halted, never a panic, never for ever.
#![no_main]

use std::collections::BTreeMap;

use computatom_compose::shell::process::Origin;
use computatom_compose::shell::run_in;
use computatom_compose::shell::session::Session;
use computatom_compose::system::System;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut system = System::new("arm64", 0);
    system.tree.mkdir_all("/tmp", 0o755).expect("a fresh tree");
    let session = Session::lenient().with_steps(2000).with_max_bytes(1 << 20);
    let _ = run_in(&session, &mut system, Origin::default(), text, &[], &BTreeMap::new());
});
