//! The status screen on the consoles: HDMI and serial show who the node is and how it is, without a login.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::root::Root;

/// Clears a screen and puts the cursor at its top (ECMA-48 ED and CUP).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// The consoles of the node.
#[derive(Debug)]
pub struct Consoles {
    devices: Vec<PathBuf>,
    shown: String,
}

impl Consoles {
    /// The kernel's consoles, and the first virtual terminal where there is a screen.
    pub fn find(root: &Root) -> Self {
        let active = root.attribute("/sys/class/tty/console/active").unwrap_or_default();
        let mut names: Vec<&str> = active.split_ascii_whitespace().filter(|name| *name != "tty0").collect();
        if root.path("/dev/tty1").exists() && !names.contains(&"tty1") {
            names.push("tty1");
        }
        Self {
            devices: names
                .into_iter()
                .map(|name| root.path(&format!("/dev/{name}")))
                .collect(),
            shown: String::new(),
        }
    }

    /// Shows `text` unless it is what they show already: a serial log is not to fill with repetitions.
    pub fn show(&mut self, text: &str) {
        if text == self.shown {
            return;
        }
        for device in &self.devices {
            let screen = device
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("tty1"));
            let clear = if screen { CLEAR } else { "\r\n" };
            // Not our controlling terminal, and never waited for: a serial line that nobody reads must not block.
            let flags = OFlags::NOCTTY.union(OFlags::NONBLOCK).bits().cast_signed();
            if let Ok(mut terminal) = OpenOptions::new().write(true).custom_flags(flags).open(device) {
                let _ = terminal.write_all(format!("{clear}{}", text.replace('\n', "\r\n")).as_bytes());
            }
        }
        text.clone_into(&mut self.shown);
    }
}
