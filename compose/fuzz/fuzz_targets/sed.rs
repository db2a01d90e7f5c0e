//! Any sed script over any input comes to its end; the first byte chooses among sed's ways of working.
#![no_main]

use computatom_compose_fuzz::{command, halves, machine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&way, data)) = data.split_first() else { return };
    let (script, input) = halves(data);
    let mut args = vec!["sed"];
    args.extend(
        [(1, "-n"), (2, "-E"), (4, "-s"), (8, "-z")]
            .iter()
            .filter(|(bit, _)| way & bit != 0)
            .map(|(_, option)| option),
    );
    args.extend(["-e", &script]);
    if way & 16 != 0 {
        args.extend(["-i", "a", "b.txt"]);
    }
    command(&mut machine(), &args, input);
});
