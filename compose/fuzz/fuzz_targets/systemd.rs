//! Any text as a unit, a preset, a line of tmpfiles.d or of sysusers.d; the first byte chooses which.
#![no_main]

use computatom_compose_fuzz::{command, machine, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else {
        return;
    };
    let mut system = machine();
    match which % 4 {
        0 => {
            put(&mut system, "/usr/lib/systemd/system/x@.service", data);
            put(&mut system, "/usr/lib/systemd/system/x.service", data);
            command(&mut system, &["systemctl", "enable", "x.service", "x@1.service"], b"");
            command(&mut system, &["deb-systemd-helper", "enable", "x.service"], b"");
            command(&mut system, &["systemctl", "disable", "x.service", "x@1.service"], b"");
        }
        1 => {
            put(&mut system, "/usr/lib/systemd/system-preset/50-x.preset", data);
            put(
                &mut system,
                "/usr/lib/systemd/system/x.service",
                b"[Install]\nWantedBy=multi-user.target\n",
            );
            command(&mut system, &["systemctl", "preset-all"], b"");
        }
        2 => {
            put(&mut system, "/usr/lib/tmpfiles.d/x.conf", data);
            command(&mut system, &["systemd-tmpfiles", "--create"], b"");
        }
        _ => {
            put(&mut system, "/usr/lib/sysusers.d/x.conf", data);
            command(&mut system, &["systemd-sysusers"], b"");
        }
    }
});
