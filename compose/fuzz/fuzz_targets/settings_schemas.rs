//! Any bytes as a source of settings' schemas, and as a file that overrides their defaults.
#![no_main]

use computatom_compose_fuzz::{generate, machine, put};
use libfuzzer_sys::fuzz_target;

const DIRECTORY: &str = "/usr/share/glib-2.0/schemas";
const ENUMS: &str = "<schemalist><enum id='e'><value nick='aa' value='1'/></enum></schemalist>";

fuzz_target!(|data: &[u8]| {
    let mut system = machine();
    put(&mut system, &format!("{DIRECTORY}/a.enums.xml"), ENUMS.as_bytes());
    put(&mut system, &format!("{DIRECTORY}/a.gschema.xml"), data);
    let override_of = data.iter().position(|byte| *byte == 0).map_or(&[][..], |at| &data[at..]);
    put(&mut system, &format!("{DIRECTORY}/a.gschema.override"), override_of);
    generate(&mut system, "glib-compile-schemas");
});
