//! QEMU's control socket (QEMU Machine Protocol: one JSON object a line).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::folder::Folder;

/// How long QEMU takes to an answer at most; it is busy while the firmware starts.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection; QEMU serves one at a time.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// The name of the socket of a machine.
    pub(crate) fn socket(name: &str) -> String {
        format!("{name}.qmp.sock")
    }

    /// Connects to the machine of that name.
    ///
    /// # Errors
    /// It is off, or does not answer.
    pub fn connect(folder: &Folder, name: &str) -> Result<Self> {
        let stream = folder.connect(&Self::socket(name))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut qmp = Self {
            stream: BufReader::new(stream),
        };
        let greeting = qmp.line()?;
        anyhow::ensure!(greeting["QMP"].is_object(), "QEMU greets with {greeting}");
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and answers what it returns.
    ///
    /// # Errors
    /// QEMU refuses it, in its own words.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let request = json!({"execute": command, "arguments": arguments});
        self.stream
            .get_mut()
            .write_all(format!("{request}\n").as_bytes())
            .with_context(|| format!("telling QEMU `{command}`"))?;
        loop {
            // Events come in between.
            let mut answer = self
                .line()
                .with_context(|| format!("waiting for QEMU after `{command}`"))?;
            if let Some(said) = answer["error"]["desc"].as_str() {
                bail!("QEMU refuses `{command}`: {said}");
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    /// Executes a command of QEMU's monitor for people, which has some that QMP has not.
    ///
    /// # Errors
    /// It says anything: such commands are silent when they work.
    pub fn monitor(&mut self, line: &str) -> Result<()> {
        let said = self.execute("human-monitor-command", &json!({"command-line": line}))?;
        match said.as_str().map(str::trim) {
            None | Some("") => Ok(()),
            Some(said) => bail!("QEMU says of `{line}`: {said}"),
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("QEMU has ended");
        }
        serde_json::from_str(&line).with_context(|| format!("reading `{}`", line.trim()))
    }
}
