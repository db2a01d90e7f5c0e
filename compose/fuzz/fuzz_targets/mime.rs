//! Any bytes as a source of the database of types of files.
#![no_main]

use computatom_compose_fuzz::{generate, machine, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut system = machine();
    put(&mut system, "/var/lib/dpkg/status", b"Package: shared-mime-info\nVersion: 2.4-5\nStatus: install ok installed\n");
    put(&mut system, "/usr/share/mime/packages/a.xml", data);
    generate(&mut system, "update-mime-database");
});
