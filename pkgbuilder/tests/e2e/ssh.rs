//! Logging in: with a key that the site settings hold, and not at all without.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::board::Board;
use super::cluster::Node;
use super::machine::Card;
use super::scenario::{CORE, LONG, Site, healthy, kept, say, wait};

/// Nobody listens for logins.
pub(crate) fn closed(node: &Node) -> Result<()> {
    let address = SocketAddr::new(node.address.into(), 22);
    let Err(error) = TcpStream::connect_timeout(&address, Duration::from_secs(10)) else {
        anyhow::bail!("port 22 is open, and the site settings hold no keys");
    };
    ensure!(
        error.kind() == ErrorKind::ConnectionRefused,
        "port 22 should refuse: {error}"
    );
    Ok(())
}

/// Who has the key gets in as root, and meets the same host after a power cut; who has another does not.
pub(crate) fn by_key(site: &Site) -> Result<()> {
    say("a key in the site settings");
    let folder = &site.folder.join("ssh");
    std::fs::create_dir_all(folder)?;
    for name in ["key", "other"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "throw-away", "-f"])
            .arg(folder.join(name))
            .status()
            .context("running ssh-keygen (package openssh-client)")?;
        ensure!(made.success(), "ssh-keygen ended with {made}");
    }
    let key = std::fs::read_to_string(folder.join("key.pub"))?;
    let settings = format!("{{ ssh_keys: ['{}'] }}", key.trim());
    let image = site.build("vm", "uefi-arm64", &settings, &folder.join("out"))?;
    let card = Card::burn(Board::Virt(1536), &image, &site.folder, "ssh")?;
    let node = Node::new(CORE.name, CORE.address);
    let mut machine = card.boot(&CORE, 1)?;
    kept(&mut machine, &node, |machine| {
        wait(machine, "a login", LONG, || {
            let name = login(folder, &node, "key", "accept-new", "hostname")?;
            ensure!(name.trim() == CORE.name, "the host calls itself {name}");
            Ok(())
        })?;
        let locked = login(folder, &node, "key", "yes", "passwd --status root")?;
        ensure!(locked.starts_with("root L "), "root has a password: {locked}");
        let error = login(folder, &node, "other", "yes", "true").expect_err("another key");
        ensure!(
            error.to_string().contains("Permission denied (publickey)"),
            "a key that nobody knows is answered with: {error}"
        );
        wait(machine, "the fingerprint", LONG, || {
            let said = node.get(4690, "/status.json")?["ssh"].to_string();
            let fingerprint = fingerprint(&folder.join("known_hosts"))?;
            ensure!(
                said.contains(&fingerprint),
                "the host is {fingerprint}; the node says {said}"
            );
            Ok(())
        })?;
        healthy(machine)
    })?;
    say("power cut, second boot");
    machine.cut_power()?;
    let mut machine = card.boot(&CORE, 2)?;
    kept(&mut machine, &node, |machine| {
        wait(machine, "a login at the same host", LONG, || {
            login(folder, &node, "key", "yes", "true").map(drop)
        })
    })
}

/// Runs a command as root on the node; what it printed.
fn login(folder: &Path, node: &Node, key: &str, strict: &str, command: &str) -> Result<String> {
    let output: Output = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "ConnectTimeout=20",
        ])
        .args(["-o", &format!("StrictHostKeyChecking={strict}")])
        .args([
            "-o",
            &format!("UserKnownHostsFile={}", folder.join("known_hosts").display()),
        ])
        .arg("-i")
        .arg(folder.join(key))
        .args([&format!("root@{}", node.address), command])
        .output()
        .context("running ssh (package openssh-client)")?;
    ensure!(
        output.status.success(),
        "ssh ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The fingerprint of the one host that is known.
fn fingerprint(known_hosts: &Path) -> Result<String> {
    let output = Command::new("ssh-keygen")
        .arg("-l")
        .arg("-f")
        .arg(known_hosts)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.split_whitespace().nth(1).context("no host is known")?;
    Ok(word.to_owned())
}
