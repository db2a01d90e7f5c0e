//! Any bytes as a shared library, and as `ld.so.conf` behind it.
#![no_main]

use computatom_compose_fuzz::{generate, machine, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut system = machine();
    put(
        &mut system,
        "/usr/sbin/ldconfig",
        b"ldconfig (Debian GLIBC 2.41-12) stable release version 2.41\0",
    );
    put(&mut system, "/usr/lib/libx.so.1.2", data);
    put(&mut system, "/usr/lib/glibc-hwcaps/x86-64-v3/libx.so.1", data);
    put(&mut system, "/etc/ld.so.conf", data);
    generate(&mut system, "ldconfig");
});
