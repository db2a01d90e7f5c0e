//! Which units know their files: the digests of what each was last started, restarted or reloaded with.
//!
//! Files and units cannot change in one step. A restart that did not happen (the agent was killed in between, systemd
//! refused) is made up for at the next look, because the record still has the older digests.

use std::collections::BTreeMap;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::atomic;
use crate::render::{Action, Change, File, UNITS};
use crate::root::Root;

/// The record: of this boot, like the units that it is about.
const RECORD: &str = "/run/computatom/applied.json";

/// Digests by path of a file, by unit.
type Record = BTreeMap<String, BTreeMap<String, String>>;

/// The units whose files are others than those that they know, each with the strongest action that is needed.
pub fn pending(root: &Root, files: &[File]) -> Vec<Change> {
    let record = read(root);
    let mut changes: Vec<Change> = UNITS
        .iter()
        .filter_map(|unit| {
            let empty = BTreeMap::new();
            let known = record.get(*unit).unwrap_or(&empty);
            let now = digests(files, unit);
            let of_files = files
                .iter()
                .filter(|file| file.unit == *unit && known.get(&file.path) != now.get(&file.path))
                .map(|file| file.action);
            // What a unit has read and what is gone is a role that is gone.
            let of_gone = known
                .keys()
                .filter(|path| !now.contains_key(*path))
                .map(|_| Action::Restart);
            let action = of_files.chain(of_gone).max()?;
            Some(Change { unit, action })
        })
        .collect();
    changes.sort_unstable();
    changes
}

/// Records that `unit` knows its files as they are in `files`.
///
/// # Errors
/// `/run` not writable.
pub fn confirm(root: &Root, files: &[File], unit: &str) -> anyhow::Result<()> {
    let mut record = read(root);
    record.insert(unit.to_owned(), digests(files, unit));
    let mut text = serde_json::to_string_pretty(&record).context("serializing what units know")?;
    text.push('\n');
    atomic::write_if_changed(&root.path(RECORD), &text, 0o644).with_context(|| format!("writing {RECORD}"))?;
    Ok(())
}

/// Without a readable record no unit knows anything: a restart too many heals what one too few does not.
fn read(root: &Root) -> Record {
    root.read(RECORD)
        .ok()
        .flatten()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn digests(files: &[File], unit: &str) -> BTreeMap<String, String> {
    files
        .iter()
        .filter(|file| file.unit == unit)
        .map(|file| (file.path.clone(), hex::encode(Sha256::digest(&file.text))))
        .collect()
}
