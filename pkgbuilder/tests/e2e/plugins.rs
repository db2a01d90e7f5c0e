//! A CNI plugin that did not answer Nomad in time: the node is given no job with a network of its own until Nomad knows it.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::board::Board;
use super::cluster::Node;
use super::machine::Card;
use super::scenario::{CORE, LONG, Site, kept, say, wait};

/// One of those that Nomad asks a node for before it places a job with a bridge there.
const PLUGIN: &str = "/opt/cni/bin/firewall";
/// Longer than the three seconds that Nomad gives it.
const SLOW: &str = "printf '#!/bin/sh\\nexec sleep 20\\n' >/run/slow && chmod 755 /run/slow && mount --bind /run/slow";

pub(crate) fn missed(site: &Site) -> Result<()> {
    say("a plugin that Nomad missed");
    let image = site.image("vm", "uefi-arm64")?;
    let card = Card::burn(Board::Virt(1536), &image, &site.folder, "plugins")?;
    let node = Node::new(CORE.name, CORE.address);
    let mut machine = card.boot(&CORE, 1)?;
    kept(&mut machine, &node, |machine| {
        let limit = Duration::from_mins(1);
        wait(machine, "Nomad with all plugins", LONG, || node.nomad_ready())?;
        let slow = machine.run(
            &format!("{SLOW} {PLUGIN} && systemctl --no-block restart nomad && echo slow now"),
            limit,
        )?;
        ensure!(slow.trim() == "slow now", "making it slow: {slow}");
        // `computatom-agent wait cni` waits for it a minute, and lets Nomad start then.
        wait(machine, "Nomad without one", LONG, || {
            let refused = node.nomad_ready().err().map(|error| format!("{error:#}"));
            ensure!(
                refused
                    .as_deref()
                    .is_some_and(|words| words.contains("no CNI plugin `firewall`")),
                "the node is: {refused:?}"
            );
            Ok(())
        })?;
        let waited = machine.run(
            "journalctl -b --no-pager -o cat -u nomad | grep 'no answer within .* firewall'",
            limit,
        )?;
        ensure!(waited.contains("wait"), "Nomad's unit said: {waited}");
        wait(machine, "a warning", LONG, || {
            let warnings = node.get(4690, "/status.json")?["warnings"].to_string();
            ensure!(
                warnings.contains("the CNI plugins firewall"),
                "the node warns of {warnings}"
            );
            Ok(())
        })?;
        // Whoever runs it just now keeps it.
        let quick = machine.run(&format!("umount --lazy {PLUGIN} && echo quick again"), limit)?;
        ensure!(quick.trim() == "quick again", "making it quick: {quick}");
        wait(machine, "Nomad with all plugins again", LONG, || node.nomad_ready())?;
        let said = machine.run(
            "journalctl -b --no-pager -o cat -u computatom-agent | grep 'starting it again'",
            limit,
        )?;
        ensure!(said.contains("the CNI plugins firewall"), "the agent said: {said}");
        wait(machine, "no warning", LONG, || {
            let warnings = node.get(4690, "/status.json")?["warnings"].to_string();
            ensure!(!warnings.contains("CNI"), "the node warns of {warnings}");
            Ok(())
        })
    })?;
    machine.cut_power()
}
