//! A plain Debian as a virtual machine: its disk, its kernel, one boot.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pkgbuilder::fetch::mirror::Mirror;

/// The longest that a trial may take: emulation without KVM on a busy machine.
const LIMIT: Duration = Duration::from_hours(1);

/// The longest from power-on to the trial's first word; half a minute is usual.
const START: Duration = Duration::from_mins(8);

/// Packages beside the essential ones: what a server installation of Debian has, and two resolvers of names.
const INCLUDE: &str =
    "systemd-sysv,udev,dbus,linux-image-cloud-amd64,initramfs-tools,kmod,procps,iproute2,curl,systemd-resolved,dnsmasq";

/// What mmdebstrap does in the finished root: an initramfs for this machine only, a network by DHCP, and
/// the way out that every network has: without one Nomad's client does not know which interface is its own. QEMU lets
/// nothing through.
const HOOK: &str = r#"
printf 'MODULES=list\n' >"$1/etc/initramfs-tools/conf.d/trial"
printf 'virtio_pci\nvirtio_blk\next4\n' >>"$1/etc/initramfs-tools/modules"
chroot "$1" update-initramfs -u
mkdir -p "$1/etc/systemd/network"
printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\nGateway=10.0.2.2\n' >"$1/etc/systemd/network/20-wired.network"
chroot "$1" systemctl enable systemd-networkd systemd-resolved trial.service
chroot "$1" systemctl disable dnsmasq
ln -sf ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"
"#;

/// The trial is a unit like any other; what it says goes to a serial port of its own.
const UNIT: &str = "\
[Unit]
After=network-online.target
Wants=network-online.target
[Service]
Type=oneshot
ExecStart=/bin/sh /trial/trial.sh
ExecStopPost=/usr/bin/systemctl --no-block poweroff
StandardOutput=file:/dev/ttyS1
StandardError=inherit
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
";

#[track_caller]
fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(())
}

/// Makes the disk of a Debian trixie with what lies in `trial` at /trial; kernel and initramfs lie beside it.
pub(crate) fn install(folder: &Path, trial: &Path) -> Result<()> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    fs::write(trial.join("trial.service"), UNIT)?;
    let mirror = Mirror::find(None, None)?;
    let copy = format!("copy-in {} /", trial.display());
    let unit = "cp \"$1/trial/trial.service\" \"$1/etc/systemd/system/\"";
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase", "--architectures=amd64"])
        .arg(format!("--include={INCLUDE}"))
        .args([
            "--customize-hook",
            &copy,
            "--customize-hook",
            unit,
            "--customize-hook",
            HOOK,
        ])
        .arg("trixie")
        .arg(&root)
        .arg(mirror.base("trixie")))?;
    for (link, name) in [("vmlinuz", "kernel"), ("initrd.img", "initramfs")] {
        fs::copy(root.join(link), folder.join(name)).with_context(|| format!("taking {link} out of the root"))?;
    }
    let disk = folder.join("disk.img");
    File::create(&disk)?.set_len(6 << 30)?;
    run(Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .arg(&root)
        .arg(&disk))?;
    fs::remove_dir_all(&root)?;
    Ok(())
}

/// Without `cmpxchg16b`: QEMU 7.2 leaves parts of a pointer in the flags after it, the trap flag among them, and the
/// kernel's memory allocator uses it all the time.
const PROCESSOR: &str = "qemu64,-cx16";

/// How often the machine may be switched on until its kernel survives the trial.
const TRIES: u32 = 4;

/// What the trial says last.
const END: &str = "\n== end\n";

/// Boots the machine and answers what the trial said, after the machine has switched itself off.
///
/// Debian's kernel sometimes panics or stands still when it is emulated; no machine does that. Every boot begins with the
/// disk as it was made, so it is switched off and on again, as long as the trial has not begun.
pub(crate) fn boot(folder: &Path) -> Result<String> {
    for _ in 0..TRIES {
        let said = power_on(folder)?;
        if said.contains(END) {
            return Ok(said);
        }
        let console = fs::read(folder.join("console.txt"))?;
        ensure!(
            said.is_empty() || String::from_utf8_lossy(&console).contains("Kernel panic"),
            "the machine ended before its trial did; its console is in {}",
            folder.display()
        );
    }
    bail!(
        "the kernel panicked or stood still {TRIES} times; its console is in {}",
        folder.display()
    )
}

fn power_on(folder: &Path) -> Result<String> {
    let said = folder.join("trial.txt");
    let serial = |path: PathBuf| format!("file:{}", path.display());
    let log = File::create(folder.join("qemu.txt"))?;
    // Should the test itself be ended, the machine ends with it.
    let mut child = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "--",
            "qemu-system-x86_64",
            "-M",
            "q35",
            "-m",
            "2048",
            "-smp",
            "1",
        ])
        .args([
            "-accel",
            "tcg",
            "-cpu",
            PROCESSOR,
            "-display",
            "none",
            "-no-reboot",
            "-monitor",
            "none",
        ])
        .arg("-kernel")
        .arg(folder.join("kernel"))
        .arg("-initrd")
        .arg(folder.join("initramfs"))
        .args([
            "-append",
            "root=/dev/vda rw console=ttyS0 panic=1 oops=panic systemd.show_status=1",
        ])
        .arg("-drive")
        .arg(format!(
            "file={},if=virtio,format=raw,cache=unsafe,snapshot=on",
            folder.join("disk.img").display()
        ))
        .args(["-nic", "user,restrict=on,model=virtio-net-pci"])
        .args([
            "-serial",
            &serial(folder.join("console.txt")),
            "-serial",
            &serial(said.clone()),
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting qemu-system-x86_64 (package qemu-system-x86)")?;
    let ended = wait(&mut child, &said);
    let _ = child.kill();
    let _ = child.wait();
    ended?;
    Ok(fs::read_to_string(&said)?.replace('\r', ""))
}

/// Until the machine has switched itself off, or has said nothing for too long.
fn wait(child: &mut Child, said: &Path) -> Result<()> {
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > START && fs::metadata(said)?.len() == 0 {
            return Ok(());
        }
        if began.elapsed() > LIMIT {
            bail!("the machine did not end within {} minutes", LIMIT.as_secs() / 60);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
