//! The command line of update-alternatives.

use crate::commands::ending::{Done, Ending};
use crate::shell::process::Process;

/// What to do, from the command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Install {
        link: String,
        name: String,
        path: String,
        priority: i64,
    },
    Remove(String, String),
    RemoveAll(String),
    Auto(String),
    Set(String, String),
    Display(String),
    Query(String),
    List(String),
    GetSelections,
    SetSelections,
}

/// A parsed command line.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) action: Action,
    /// Link, name and path of each `--slave`.
    pub(super) slaves: Vec<[String; 3]>,
    pub(super) quiet: bool,
    pub(super) force: bool,
}

pub(super) fn parse(process: &Process<'_>) -> Done<Request> {
    let mut args = process.args[1..].iter();
    let (mut action, mut slaves, mut quiet, mut force) = (None, Vec::new(), false, false);
    while let Some(arg) = args.next() {
        let mut next = || {
            args.next()
                .cloned()
                .ok_or_else(|| Ending::with(2, format!("error: {arg} needs more arguments")))
        };
        let found = match arg.as_str() {
            "--install" => {
                let (link, name, path, priority) = (next()?, next()?, next()?, next()?);
                let priority = priority
                    .parse()
                    .map_err(|_| Ending::with(2, "error: priority must be an integer"))?;
                Action::Install {
                    link,
                    name,
                    path,
                    priority,
                }
            }
            "--slave" => {
                slaves.push([next()?, next()?, next()?]);
                continue;
            }
            "--remove" => Action::Remove(next()?, next()?),
            "--remove-all" => Action::RemoveAll(next()?),
            "--auto" => Action::Auto(next()?),
            "--set" => Action::Set(next()?, next()?),
            "--display" => Action::Display(next()?),
            "--query" => Action::Query(next()?),
            "--list" => Action::List(next()?),
            "--get-selections" => Action::GetSelections,
            "--set-selections" => Action::SetSelections,
            "--quiet" => {
                quiet = true;
                continue;
            }
            "--force" => {
                force = true;
                continue;
            }
            "--verbose" | "--debug" | "--skip-auto" => continue,
            // The log is of no use on a root that is composed anew each time.
            "--log" => {
                next()?;
                continue;
            }
            other => return Err(process.unsupported(other).into()),
        };
        action = Some(found);
    }
    let action = action.ok_or_else(|| Ending::with(2, "error: need an action"))?;
    Ok(Request {
        action,
        slaves,
        quiet,
        force,
    })
}
