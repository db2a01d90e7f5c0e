//! A person at a node's console: a terminal and the node's serial port.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Ctrl-], as telnet has it.
const ESCAPE: u8 = 0x1d;

/// Connects terminal and console, until the person types Ctrl-] or the node's power goes.
pub fn attach(mut console: UnixStream) -> Result<()> {
    let _raw = Raw::enter()?;
    let mut typed = console.try_clone().context("attaching to the console")?;
    // Ends with the process.
    std::thread::spawn(move || {
        let (mut stdin, mut byte) = (io::stdin().lock(), [0]);
        while matches!(stdin.read(&mut byte), Ok(1)) {
            if byte[0] == ESCAPE || typed.write_all(&byte).is_err() {
                break;
            }
        }
        // At the end of a pipe the console may still have something to say; a person has had enough.
        if io::stdin().is_terminal() {
            let _ = typed.shutdown(std::net::Shutdown::Both);
        }
    });
    let mut out = io::stdout().lock();
    let mut buffer = [0; 4096];
    loop {
        match console.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => out.write_all(&buffer[..count]).and_then(|()| out.flush())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("reading the console"),
        }
    }
}

/// The terminal as it was, restored when this is dropped.
struct Raw(Option<Termios>);

impl Raw {
    /// Hands every key to the console, Ctrl-C too.
    fn enter() -> Result<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(Self(None));
        }
        let before = tcgetattr(&stdin).context("asking the terminal")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).context("setting the terminal")?;
        Ok(Self(Some(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
