//! Any awk program over any input comes to its end.
#![no_main]

use computatom_compose_fuzz::{command, halves, machine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (program, input) = halves(data);
    command(&mut machine(), &["awk", "--", &program], input);
});
