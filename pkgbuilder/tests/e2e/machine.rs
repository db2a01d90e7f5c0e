//! A Raspberry Pi 3 in QEMU, started from what its firmware would have taken out of the image.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pkgbuilder::assemble::firmware;

use super::network::Host;

/// Added to the image's own command line: a root shell on the serial console, for a person with a cable, and for us;
/// and no watchdog, for QEMU's model of it has no timer: arming it resets the machine at once
/// (`hw/misc/bcm2835_powermgt.c`). Nor cdc_subset, which claims QEMU's network adapter whenever it is loaded before
/// the right driver, and gives it a random address.
const EMULATION: &str = "systemd.debug_shell=ttyS1 module_blacklist=bcm2835_wdt,cdc_subset";
/// QEMU takes SD cards only with a power of two as their size.
const CARD_SIZE: u64 = 8 << 30;

/// The kernel's words when QEMU's network adapter is there, and when the port it hangs on was lost.
const USB_ADAPTER: &str = "New USB device found, idVendor=0525, idProduct=a4a2";
const USB_LOST: &str = "dwc2 3f980000.usb: Not connected";
/// How often, and how long for each, a board may take to its network adapter.
const USB_TRIES: u32 = 5;
const USB_LIMIT: Duration = Duration::from_mins(5);

/// A card, and the folder that keeps what its boots said.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    image: PathBuf,
    folder: PathBuf,
}

impl Card {
    /// Burns the compressed image to a new 8 GiB card.
    pub(crate) fn burn(compressed: &Path, folder: &Path, name: &str) -> Result<Self> {
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
        File::options().write(true).open(&image)?.set_len(CARD_SIZE)?;
        Ok(Self { image, folder })
    }

    /// Powers a board with this card on, until its network adapter is there.
    ///
    /// QEMU's model of the Pi's USB controller sometimes loses its port while the kernel sets it up (`dwc2 …: Not
    /// connected`), and the board is without Ethernet then; no board does that. It is switched off and on again.
    pub(crate) fn boot(&self, host: &Host, boot_number: u32) -> Result<Machine> {
        for _ in 0..USB_TRIES {
            let mut machine = self.power_on(host, boot_number)?;
            let began = Instant::now();
            loop {
                let console = machine.console();
                if console.contains(USB_ADAPTER) {
                    return Ok(machine);
                }
                if console.contains(USB_LOST) {
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

    fn power_on(&self, host: &Host, boot_number: u32) -> Result<Machine> {
        let taken = firmware::boot(&self.image, firmware::Board::Pi3, &firmware::Options::default())
            .context("asking the firmware model what a Pi 3 would boot")?;
        let file = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
            let path = self.folder.join(name);
            fs::write(&path, bytes)?;
            Ok(path)
        };
        let kernel = file("kernel", &taken.kernel)?;
        let initramfs = file("initramfs", &taken.initramfs)?;
        let device_tree = file("board.dtb", &taken.device_tree)?;
        let console = self.folder.join(format!("console-{boot_number}.txt"));
        let socket = self.folder.join("console.sock");
        let _ = fs::remove_file(&socket);
        let log = File::create(self.folder.join(format!("qemu-{boot_number}.txt")))?;
        // Should the test itself be ended, the machine ends with it.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "qemu-system-aarch64"])
            .args([
                "-M",
                "raspi3b",
                "-m",
                "1024",
                "-accel",
                "tcg,thread=multi",
                "-display",
                "none",
                "-no-reboot",
            ])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs)
            .arg("-dtb")
            .arg(device_tree)
            .arg("-append")
            .arg(format!("{} {EMULATION}", taken.cmdline))
            .arg("-drive")
            .arg(format!("file={},if=sd,format=raw", self.image.display()))
            .arg("-netdev")
            .arg(format!("tap,id=n0,ifname={},script=no,downscript=no", host.tap))
            .arg("-device")
            .arg(format!("usb-net,netdev=n0,mac={}", host.mac))
            .arg("-chardev")
            .arg(format!(
                "socket,id=console,path={},server=on,wait=off,logfile={}",
                socket.display(),
                console.display()
            ))
            .args(["-serial", "null", "-serial", "chardev:console", "-monitor", "none"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting qemu-system-aarch64 (package qemu-system-arm)")?;
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

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
