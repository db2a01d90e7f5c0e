//! A board in QEMU: its card, its console, its power.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use computatom_cluster::machine::raspberry_pi::{ADAPTER_FOUND, PORT_LOST};

use super::board::Board;
use super::network::Host;

/// QEMU takes SD cards only with a power of two as their size.
pub(crate) const CARD_SIZE: u64 = 8 << 30;
/// Room for a log of what a boot writes, most of which is a hole.
const LOG_SIZE: u64 = 16 << 30;

/// The levels of pins 0 to 31 (BCM2835 ARM Peripherals, 6.1), where a Pi 3 has its peripherals.
const GPLEV0: u64 = 0x3f20_0034;
/// How often, and how long for each, a board may take to its network adapter. (Five times in a row were seen on a slow host: what
/// goes wrong is a matter of time, which a boot of the same card repeats.)
const USB_TRIES: u32 = 12;
const USB_LIMIT: Duration = Duration::from_mins(5);

/// A card, and the folder that keeps what its boots said.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    board: Board,
    pub(crate) image: PathBuf,
    folder: PathBuf,
    /// Whether what is written to it is logged.
    logged: bool,
}

impl Card {
    /// Burns the compressed image to a new 8 GiB card for a board.
    pub(crate) fn burn(board: Board, compressed: &Path, folder: &Path, name: &str) -> Result<Self> {
        Self::burn_sized(board, compressed, folder, name, CARD_SIZE)
    }

    /// The same to a card of `size` bytes, a power of two.
    pub(crate) fn burn_sized(board: Board, compressed: &Path, folder: &Path, name: &str, size: u64) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let image = folder.join("card.img");
        let status = Command::new("zstd")
            .args(["--quiet", "--force", "--sparse", "--decompress", "-o"])
            .arg(&image)
            .arg(compressed)
            .status()
            .context("running zstd")?;
        ensure!(status.success(), "zstd cannot decompress {}", compressed.display());
        let file = File::options().write(true).open(&image)?;
        ensure!(file.metadata()?.len() <= size, "the image is larger than its card");
        file.set_len(size)?;
        Ok(Self {
            board,
            image,
            folder,
            logged: false,
        })
    }

    /// The same by `pkgbuilder burn`, with a file of secrets.
    pub(crate) fn burn_with_secrets(
        board: Board,
        compressed: &Path,
        folder: &Path,
        name: &str,
        secrets: &str,
    ) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let image = folder.join("card.img");
        File::create(&image)?.set_len(CARD_SIZE)?;
        let file = folder.join("secrets.json");
        fs::write(&file, secrets)?;
        let output = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"))
            .args(["burn", "--yes", "--secrets"])
            .args([&file, &compressed.to_owned(), &image])
            .output()
            .context("running pkgbuilder")?;
        ensure!(
            output.status.success(),
            "pkgbuilder burn: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self {
            board,
            image,
            folder,
            logged: false,
        })
    }

    /// Another card with what is on this one now.
    pub(crate) fn copy(&self, folder: &Path, name: &str) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let image = folder.join("card.img");
        let status = Command::new("cp")
            .arg("--sparse=always")
            .args([&self.image, &image])
            .status()
            .context("running cp")?;
        ensure!(status.success(), "cp cannot copy {}", self.image.display());
        Ok(Self {
            board: self.board,
            image,
            folder,
            logged: false,
        })
    }

    /// From now on QEMU logs what is written to it.
    pub(crate) fn logged(mut self) -> Result<Self> {
        // It does not grow.
        File::create(self.log())?.set_len(LOG_SIZE)?;
        self.logged = true;
        Ok(self)
    }

    /// Where that log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("writes.log")
    }

    /// Powers a board with this card on, until its network adapter is there.
    ///
    /// QEMU's model of the Pi's USB controller sometimes loses its port while the kernel sets it up (`dwc2 …: Not
    /// connected`), and the board is without Ethernet then; no board does that. It is switched off and on again.
    pub(crate) fn boot(&self, host: &Host, boot_number: u32) -> Result<Machine> {
        if !self.board.has_usb_network() {
            return self.power_on(host, boot_number);
        }
        for _ in 0..USB_TRIES {
            let mut machine = self.power_on(host, boot_number)?;
            let began = Instant::now();
            loop {
                let console = machine.console();
                if console.contains(ADAPTER_FOUND) {
                    return Ok(machine);
                }
                if console.contains(PORT_LOST) {
                    super::scenario::say("QEMU lost its USB port; off and on again");
                    break;
                }
                machine.running()?;
                ensure!(
                    began.elapsed() < USB_LIMIT,
                    "no network adapter appeared: {}",
                    tail(&console)
                );
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        bail!("QEMU lost its USB port {USB_TRIES} times in a row")
    }

    /// Powers a board with this card on; whether its network comes up is its own affair.
    pub(crate) fn power_on(&self, host: &Host, boot_number: u32) -> Result<Machine> {
        let log = self.logged.then(|| self.log());
        let start = self.board.start(&self.image, log.as_deref(), &self.folder, host)?;
        let console = self.folder.join(format!("console-{boot_number}.txt"));
        let socket = self.folder.join("console.sock");
        for socket in [&socket, &monitor(&self.folder)] {
            let _ = fs::remove_file(socket);
        }
        let log = File::create(self.folder.join(format!("qemu-{boot_number}.txt")))?;
        // Should the test itself be ended, the machine ends with it.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", start.program])
            .args(["-accel", "tcg,thread=multi", "-display", "none", "-no-reboot"])
            .args(start.arguments)
            .arg("-chardev")
            .arg(format!(
                "socket,id=console,path={},server=on,wait=off,logfile={}",
                socket.display(),
                console.display()
            ))
            .args(["-serial", "chardev:console", "-monitor"])
            .arg(format!("unix:{},server=on,wait=off", monitor(&self.folder).display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!(
                    "starting {} (packages qemu-system-arm and qemu-system-x86)",
                    start.program
                )
            })?;
        Ok(Machine {
            child,
            console,
            socket,
            folder: self.folder.clone(),
            began: Instant::now(),
        })
    }
}

/// A running board; the power is cut when it is dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    child: Child,
    console: PathBuf,
    socket: PathBuf,
    /// Where this board's files are kept.
    pub(crate) folder: PathBuf,
    /// When the power came on.
    pub(crate) began: Instant,
}

impl Machine {
    /// Everything the console has shown.
    pub(crate) fn console(&self) -> String {
        fs::read(&self.console)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until the console shows `text`.
    pub(crate) fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        let began = Instant::now();
        while !self.console().contains(text) {
            self.running()?;
            ensure!(
                began.elapsed() < limit,
                "the console did not show `{text}` within {} s",
                limit.as_secs()
            );
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Fails when QEMU has ended or the kernel has panicked.
    pub(crate) fn running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "QEMU ended with {status}; the console ends with: {}",
                tail(&self.console())
            );
        }
        let console = self.console();
        ensure!(
            !console.contains("Kernel panic"),
            "the kernel panicked: {}",
            tail(&console)
        );
        Ok(())
    }

    /// Runs a command in the root shell on the console and answers what it printed.
    pub(crate) fn run(&mut self, command: &str, limit: Duration) -> Result<String> {
        // A connection that is held but not read would block the serial port, and with it the machine.
        let mut stream = UnixStream::connect(&self.socket).context("connecting to the console")?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        // The marks are split in what is sent, so that the echo of the line does not hold them. What a command prints is
        // written at once when it has ended: the agent's page comes to the same console whenever something changes.
        writeln!(
            stream,
            "stty -echo cols 500 2>/dev/null; said=$( ({command}) 2>&1); printf '@@%s\\n%s\\n@@%s\\n' begin \"$said\" end"
        )?;
        let (began, mut seen) = (Instant::now(), Vec::new());
        loop {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer) {
                Ok(0) => bail!("the console was closed"),
                Ok(count) => seen.extend_from_slice(&buffer[..count]),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(error) => return Err(error).context("reading the console"),
            }
            let text = plain(&String::from_utf8_lossy(&seen));
            if let Some((_, rest)) = text.split_once("@@begin\n")
                && let Some((answer, _)) = rest.split_once("@@end")
            {
                return Ok(answer.to_owned());
            }
            self.running()?;
            ensure!(
                began.elapsed() < limit,
                "`{command}` did not end within {} s; seen: {}",
                limit.as_secs(),
                tail(&text)
            );
        }
    }

    /// Whether a light on a pin of a Pi 3's processor shines, many times over some seconds: the levels of the pins are in
    /// the register [`GPLEV0`], which QEMU's monitor reads.
    pub(crate) fn light(&self, pin: u32, time: Duration) -> Result<Vec<bool>> {
        let mut monitor = UnixStream::connect(monitor(&self.folder)).context("connecting to QEMU's monitor")?;
        monitor.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut answer = || -> Result<String> {
            let mut seen = Vec::new();
            let mut buffer = [0; 512];
            while !seen.ends_with(b"(qemu) ") {
                let count = monitor.read(&mut buffer)?;
                ensure!(count > 0, "QEMU's monitor was closed");
                seen.extend_from_slice(&buffer[..count]);
            }
            writeln!(monitor, "xp /1xw {GPLEV0:#x}")?;
            Ok(String::from_utf8_lossy(&seen).into_owned())
        };
        // What it says by itself.
        answer()?;
        let begins = format!("{GPLEV0:016x}: 0x");
        let (began, mut seen) = (Instant::now(), Vec::new());
        while began.elapsed() < time {
            let said = answer()?;
            let level = said.lines().find_map(|line| line.trim().strip_prefix(&begins));
            let level = u32::from_str_radix(level.with_context(|| format!("QEMU says {said}"))?.trim(), 16)?;
            seen.push(level >> pin & 1 == 1);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(seen)
    }

    /// Waits until the board resets, which ends QEMU.
    pub(crate) fn resets(&mut self, limit: Duration) -> Result<()> {
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(
                began.elapsed() < limit,
                "the board did not reset within {} s; its console ends with: {}",
                limit.as_secs(),
                tail(&self.console())
            );
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Cuts the power.
    pub(crate) fn cut_power(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal would show as text: without escape sequences (ECMA-48: CSI and OSC) and other controls.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']') => {
                    // Ended by BEL, or by ESC and a backslash.
                    while let Some(c) = chars.next() {
                        if c == '\u{1b}' {
                            chars.next();
                        }
                        if matches!(c, '\u{7}' | '\u{1b}') {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => {}
            c => shown.push(c),
        }
    }
    shown
}

/// The socket of QEMU's monitor.
fn monitor(folder: &Path) -> PathBuf {
    folder.join("monitor.sock")
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
