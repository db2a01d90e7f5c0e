//! The state as text: `computatom-agent status`, and the screen on the consoles.

use std::fmt::Write as _;

use crate::status::Status;

/// The state, a fact a line; a line is as long as what it has to say.
pub fn render(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(status, &mut text);
    text
}

fn write(status: &Status, text: &mut String) -> std::fmt::Result {
    let identity = &status.identity;
    let address = identity
        .address()
        .map_or_else(|| "no address yet".to_owned(), |address| address.to_string());
    writeln!(
        text,
        "{}  {}  {}",
        identity.hostname,
        address,
        status.assignment.names()
    )?;
    writeln!(text)?;
    writeln!(text, "  cluster   {}", status.cluster)?;
    writeln!(text, "  name      {}", identity.hostname_source.explain())?;
    writeln!(text, "  roles     {}", status.assignment.reason)?;
    let serial = identity.board.serial.as_deref().unwrap_or("none");
    writeln!(
        text,
        "  board     {}, serial {serial}, {} MiB",
        identity.board.model, identity.board.memory_mib
    )?;
    if let Some(mac) = identity.interface.as_ref().and_then(|interface| interface.mac.as_ref()) {
        writeln!(text, "  mac       {mac}")?;
    }
    if let Some(image) = &status.image {
        writeln!(text, "  image     {image}")?;
    }
    if let Some(slots) = &status.slots {
        writeln!(text, "  slot      {}", slots.sentence())?;
    }
    if let Some(page) = status.page() {
        writeln!(text, "  page      {page}")?;
    }
    if !status.ssh.is_empty() {
        writeln!(text, "  ssh       {}", status.ssh)?;
    }
    if !status.checks.is_empty() {
        writeln!(text)?;
    }
    for check in &status.checks {
        let mark = if check.healthy { "ok" } else { "--" };
        write!(text, "  {mark}  {:<14}{}", check.service, check.detail)?;
        match &check.url {
            Some(url) => writeln!(text, "  {url}")?,
            None => writeln!(text)?,
        }
    }
    writeln!(text)?;
    if let Some(fault) = &status.fault {
        writeln!(text, "  wrong: {fault}")?;
        writeln!(text, "  correct the site settings, build the image anew and burn it")?;
    }
    for unit in &status.failed_units {
        writeln!(text, "  failed: {unit}")?;
    }
    for wait in &status.waits_for {
        writeln!(text, "  waits for {wait}")?;
    }
    if status.is_ready() {
        writeln!(text, "  {}", status.verdict())?;
    }
    for warning in &status.warnings {
        writeln!(text, "  note: {warning}")?;
    }
    Ok(())
}
