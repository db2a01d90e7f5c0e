//! The LAN of the test: a bridge, a tap device per board, and a real DHCP server that names boards by MAC address.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Our own address on the bridge.
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// A board as the DHCP server knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    pub(crate) name: &'static str,
    pub(crate) mac: &'static str,
    pub(crate) address: Ipv4Addr,
    pub(crate) tap: &'static str,
}

/// The LAN; the DHCP server ends with it, the devices with the namespace.
#[derive(Debug)]
pub(crate) struct Lan {
    dnsmasq: Child,
}

impl Lan {
    pub(crate) fn new(hosts: &[Host], folder: &Path) -> Result<Self> {
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "add", "lan", "type", "bridge"])?;
        ip(&["address", "add", &format!("{ROUTER}/24"), "dev", "lan"])?;
        ip(&["link", "set", "lan", "up"])?;
        for host in hosts {
            ip(&["tuntap", "add", "dev", host.tap, "mode", "tap"])?;
            ip(&["link", "set", host.tap, "master", "lan", "up"])?;
        }
        // Should the test itself be ended, the server ends with it.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "dnsmasq"])
            .args([
                // Nor does it change its groups then, which a user namespace forbids.
                "--no-daemon",
                "--conf-file=/dev/null",
                "--user=root",
                "--no-resolv",
                "--no-hosts",
            ])
            .args([
                "--interface=lan",
                "--bind-interfaces",
                "--domain=lan",
                "--local=/lan/",
                "--log-dhcp",
            ])
            .arg("--pid-file=")
            .arg("--dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,1h")
            .arg(format!("--dhcp-leasefile={}", folder.join("leases").display()))
            .arg(format!("--log-facility={}", folder.join("dnsmasq.log").display()))
            .args(
                hosts
                    .iter()
                    .map(|host| format!("--dhcp-host={},{},{}", host.mac, host.name, host.address)),
            )
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let dnsmasq = command
            .spawn()
            .context("starting dnsmasq (packages dnsmasq-base and util-linux)")?;
        Ok(Self { dnsmasq })
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = self.dnsmasq.kill();
        let _ = self.dnsmasq.wait();
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(args)
        .output()
        .context("running ip (package iproute2)")?;
    ensure!(
        output.status.success(),
        "`ip {}`: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
