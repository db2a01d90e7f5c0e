//! Any bytes as a source of udev's hardware database.
#![no_main]

use computatom_compose_fuzz::{generate, machine, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut system = machine();
    put(&mut system, "/var/lib/dpkg/status", b"Package: udev\nVersion: 257.9-1\nStatus: install ok installed\n\nPackage: systemd\nVersion: 257.9-1\nStatus: install ok installed\n");
    put(&mut system, "/usr/lib/udev/hwdb.d/20-x.hwdb", data);
    generate(&mut system, "hwdb");
});
