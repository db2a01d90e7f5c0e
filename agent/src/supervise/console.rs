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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_console_shows_it_once_and_the_screen_alone_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        for (path, text) in [
            ("/sys/class/tty/console/active", "tty0 ttyS1\n"),
            ("/dev/ttyS1", ""),
            ("/dev/tty1", ""),
        ] {
            let path = root.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let shown = || ["/dev/ttyS1", "/dev/tty1"].map(|path| fs::read_to_string(root.path(path)).unwrap());
        let mut consoles = Consoles::find(&root);
        consoles.show("core-1\nready\n");
        assert_eq!(shown(), ["\r\ncore-1\r\nready\r\n", "\x1b[2J\x1b[Hcore-1\r\nready\r\n"]);
        fs::write(root.path("/dev/ttyS1"), "").unwrap();
        consoles.show("core-1\nready\n");
        assert_eq!(shown()[0], "");
        // One that is gone is no reason to leave out the other.
        fs::remove_file(root.path("/dev/tty1")).unwrap();
        consoles.show("gone\n");
        assert_eq!(fs::read_to_string(root.path("/dev/ttyS1")).unwrap(), "\r\ngone\r\n");
    }
}
