//! Any bytes as a source of the journal's catalog.
#![no_main]

use computatom_compose_fuzz::{generate, machine, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut system = machine();
    put(&mut system, "/usr/lib/systemd/catalog/x.catalog", data);
    put(&mut system, "/usr/lib/systemd/catalog/x.de.catalog", data);
    generate(&mut system, "catalog");
});
