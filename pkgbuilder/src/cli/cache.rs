//! `pkgbuilder cache`: what lies in the cache, and forgetting what is not needed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::definition;
use crate::fetch::Cache;
use crate::housekeeping::quantity;
use crate::housekeeping::stock::{self, Item, Limits, Needs};
use crate::reporter::Reporter;

/// Age after which `prune` forgets when nothing else is said.
const DEFAULT_AGE: Duration = Duration::from_hours(30 * 24);

/// List the cache, or forget what is not needed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder cache list
  pkgbuilder cache prune --older-than 30d --dry-run
  pkgbuilder cache prune --keep-size 10G")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What lies in the cache: size, age, what it is, which locks of this checkout need it.
    #[command(after_help = "\
Examples:
  pkgbuilder cache list
  pkgbuilder cache list --json")]
    List {
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Forget what was not used for long. What a lock of this checkout needs stays.
    ///
    /// Waits for builds that are under way, and builds wait for it.
    #[command(after_help = "\
Examples:
  pkgbuilder cache prune
  pkgbuilder cache prune --older-than 30d --dry-run
  pkgbuilder cache prune --keep-size 10G")]
    Prune {
        /// Forget what was not used for this long, as in 12h, 30d, 4w [default: 30d, unless --keep-size is given]
        #[arg(long, value_name = "AGE", value_parser = quantity::parse_age)]
        older_than: Option<Duration>,

        /// Forget what was used least recently until the cache is no bigger, as in 500M, 10G.
        #[arg(long, value_name = "SIZE", value_parser = quantity::parse_bytes)]
        keep_size: Option<u64>,

        /// Only say what would go.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        match self.action {
            Action::List { json } => list(json),
            Action::Prune {
                older_than,
                keep_size,
                dry_run,
            } => {
                let limits = Limits {
                    older_than: older_than.or_else(|| keep_size.is_none().then_some(DEFAULT_AGE)),
                    keep_size,
                };
                prune(limits, dry_run, reporter)
            }
        }
    }
}

fn list(json: bool) -> Result<()> {
    let cache = Cache::open()?;
    let needs = match definition::root_of(Path::new(".")) {
        Ok(root) => Needs::of_checkout(&root)?,
        Err(_) => Needs::default(),
    };
    let items = stock::list(&cache, &needs)?;
    if json {
        super::print(&format!("{}\n", serde_json::to_string_pretty(&items)?))?;
        return Ok(());
    }
    let now = SystemTime::now();
    for item in &items {
        super::print(&line(item, now))?;
    }
    let total: u64 = items.iter().map(|item| item.size).sum();
    let needed = items.iter().filter(|item| !item.needed_by.is_empty());
    let needed: u64 = needed.map(|item| item.size).sum();
    super::print(&format!(
        "{} in {} ({} things), of which locks of this checkout need {}\n",
        quantity::bytes(total),
        cache.root().display(),
        items.len(),
        quantity::bytes(needed)
    ))?;
    Ok(())
}

fn line(item: &Item, now: SystemTime) -> String {
    let age = quantity::age(now.duration_since(item.used).unwrap_or_default());
    let name = item.name.get(..12).unwrap_or(&item.name);
    let what = item.what.as_deref().unwrap_or("-");
    let needed = if item.needed_by.is_empty() {
        String::new()
    } else {
        format!("  (needed by {})", item.needed_by.join(", "))
    };
    let size = quantity::bytes(item.size);
    format!("{:<9} {name:<12} {size:>11}  {age:>10}  {what}{needed}\n", item.kind)
}

fn prune(limits: Limits, dry_run: bool, reporter: &Reporter) -> Result<()> {
    let needs = Needs::of_checkout(&stock::checkout(Path::new("."))?)?;
    let cache = if dry_run {
        Cache::open()?
    } else {
        Cache::alone(reporter)?
    };
    let items = stock::list(&cache, &needs)?;
    let now = SystemTime::now();
    let chosen = stock::choose(&items, limits, now);
    let freed: u64 = chosen.iter().map(|item| item.size).sum();
    let total: u64 = items.iter().map(|item| item.size).sum();
    for item in &chosen {
        super::print(&line(item, now))?;
        if !dry_run {
            stock::forget(item)?;
        }
    }
    let left = total - freed;
    reporter.step(format_args!(
        "{} {} of {}; {} left",
        if dry_run { "would forget" } else { "forgot" },
        quantity::bytes(freed),
        quantity::bytes(total),
        quantity::bytes(left)
    ));
    if let Some(limit) = limits.keep_size.filter(|limit| left > *limit) {
        reporter.warn(format_args!(
            "{} stay, more than {}: locks of this checkout need them",
            quantity::bytes(left),
            quantity::bytes(limit)
        ));
    }
    Ok(())
}
