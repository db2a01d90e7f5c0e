//! Any bytes as a kernel module, plain and compressed.
#![no_main]

use computatom_compose_fuzz::{generate, machine, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else {
        return;
    };
    let mut system = machine();
    let ending = ["ko", "ko", "ko", "ko", "ko.gz", "ko.xz", "ko.zst"]
        .get(usize::from(which % 16))
        .unwrap_or(&"ko");
    put(&mut system, &format!("/usr/lib/modules/6/kernel/x.{ending}"), data);
    put(&mut system, "/usr/lib/modules/6/modules.builtin.modinfo", data);
    generate(&mut system, "depmod");
});
