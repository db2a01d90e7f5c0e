//! The site settings: `site.jsonnet` at the top of the repository, or the file named by `--site`.

use std::path::Path;

use anyhow::Result;
use computatom_spec::site::{Site, lay_over};
use serde_json::{Map, Value};

use super::jsonnet::{self, Evaluated};
use super::{raw, secret};
use crate::bail_input;

/// The file that is read when `--site` names none.
pub const FILE: &str = "site.jsonnet";

/// Evaluates the site settings in `file`, laid over what the image's author fixed (`under`) and the defaults.
pub fn load_site(file: Option<&Path>, under: &Map<String, Value>, root: &Path) -> Result<Site> {
    let mut merged = Value::Object(under.clone());
    let Some(file) = file else {
        return check(read(&Evaluated::of(merged))?, "the definition's `site`");
    };
    let folders = [root.join("jsonnet"), root.join("images")];
    let mut evaluated = jsonnet::evaluate(file, &folders, root)?;
    secret::check(&evaluated)?;
    // Read alone first: a mistake of the site file is told with its own line.
    read(&evaluated)?;
    lay_over(&mut merged, std::mem::take(&mut evaluated.value));
    evaluated.value = merged;
    check(read(&evaluated)?, &file.display().to_string())
}

fn read(evaluated: &Evaluated) -> Result<Site> {
    raw::read(evaluated)
}

/// Refuses settings that a node could not follow. `from` names their file.
fn check(site: Site, from: &str) -> Result<Site> {
    match site.check() {
        Ok(()) => Ok(site),
        Err(text) => bail_input!("{from}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Result<Site> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.jsonnet");
        std::fs::write(&file, text).unwrap();
        load_site(Some(&file), &Map::new(), folder.path())
    }

    fn refused(text: &str) -> String {
        let error = site(text).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
        format!("{error:#}")
    }

    #[test]
    fn settings_lie_over_the_authors_and_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.jsonnet");
        std::fs::write(&file, "{ nomad: { raw_exec: true } }").unwrap();
        let author = serde_json::json!({ "datacenter": "attic", "nomad": { "reserved_cpu": 1 } });
        let site = load_site(Some(&file), author.as_object().unwrap(), folder.path()).unwrap();
        assert_eq!((site.datacenter.as_str(), site.region.as_str()), ("attic", "global"));
        assert!(site.nomad.raw_exec);
        assert_eq!((site.nomad.reserved_cpu, site.nomad.reserved_disk_mib), (1, 1024));
    }

    #[test]
    fn unknown_keys_are_told_with_line_and_neighbour() {
        let text = refused("{\n  sever: [],\n}");
        assert!(
            text.contains("site.jsonnet:2:3: unknown key `sever` (did you mean `servers`?)"),
            "{text}"
        );
        let text = refused("{ nomad: { raw_exe: true } }");
        assert!(
            text.contains("unknown key `nomad.raw_exe` (did you mean `raw_exec`?)"),
            "{text}"
        );
    }

    #[test]
    fn what_a_node_refuses_is_refused_before_the_build() {
        // The table that the agent is asked about too.
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../../spec/tests/sites.json")).unwrap();
        for case in cases {
            let text = case["site"].to_string();
            match case["says"].as_str() {
                None => assert!(site(&text).is_ok(), "{text} is refused"),
                Some(says) => {
                    let said = refused(&text);
                    assert!(said.contains("site.jsonnet: ") && said.contains(says), "{text}: {said}");
                }
            }
        }
        assert!(refused("{ servers: 'core-1' }").contains("invalid type"));
    }

    #[test]
    fn a_site_file_imports_only_the_vocabulary() {
        assert!(refused("{ ssh_keys: [importstr '/etc/passwd'] }").contains("imports stay inside"));
        assert!(refused("import '../x.jsonnet'").contains("there is no"));
    }
}
