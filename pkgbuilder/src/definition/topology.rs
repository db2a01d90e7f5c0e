//! Topologies of virtual clusters: `topologies/NAME.jsonnet`, or a path to such a file.

use std::path::Path;

use anyhow::Result;
use computatom_cluster::topology::Topology;

use super::{jsonnet, nearest, raw, root_of, secret};
use crate::bail_input;

/// The folder of the checkout that has those which are shipped.
const FOLDER: &str = "topologies";

/// Evaluates the topology called `name` of the checkout that `folder` lies in, or the file of that path.
pub fn load(name: &str, folder: &Path) -> Result<Topology> {
    let root = root_of(folder)?;
    let shipped = root.join(FOLDER);
    let is_path = name.contains('/') || name.ends_with(".jsonnet");
    let path = if is_path {
        folder.join(name)
    } else {
        shipped.join(format!("{name}.jsonnet"))
    };
    if !path.is_file() {
        if is_path {
            bail_input!("there is no topology {}", path.display());
        }
        let known = names(&root);
        bail_input!(
            "there is no topology `{name}`{}; there are {} in {}",
            nearest(name, &known),
            known.join(", "),
            shipped.display()
        );
    }
    let evaluated = jsonnet::evaluate(&path, &[shipped, root.join("jsonnet")], &root)?;
    secret::check(&evaluated)?;
    let topology: Topology = raw::read(&evaluated)?;
    match topology.check() {
        Ok(()) => Ok(topology),
        Err(text) => bail_input!("{}: {text}", path.display()),
    }
}

/// Names of those which are shipped.
fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root.join(FOLDER))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".jsonnet")?.to_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn those_that_are_shipped_can_be_planned() {
        let names = names(&root_of(here()).unwrap());
        assert!(names.contains(&"default".to_owned()) && names.contains(&"small".to_owned()));
        for name in names {
            let topology = load(&name, here()).unwrap();
            computatom_cluster::plan::Plan::new(&name, &topology).unwrap();
            assert!(!topology.description.is_empty(), "{name} does not say what it is");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("jsonnet")).unwrap();
        std::fs::write(folder.path().join("jsonnet/computatom.libsonnet"), "{}").unwrap();
        let said = |text: &str| {
            std::fs::write(folder.path().join("own.jsonnet"), text).unwrap();
            let error = load("./own.jsonnet", folder.path()).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            format!("{error:#}")
        };
        let text = said("{\n  nodes: [{ name: 'a', roles: ['worker'] }],\n}");
        assert!(
            text.contains("`nodes[0].roles[0]`: unknown value `worker`") && text.contains("server, client, monitor"),
            "{text}"
        );
        let text = said("{\n  node: [],\n}");
        assert!(
            text.contains("own.jsonnet:2:3: unknown key `node` (did you mean `nodes`?)"),
            "{text}"
        );
        assert!(said("{ nodes: [] }").contains("`nodes` is empty"));
        let error = load("defualt", here()).unwrap_err().to_string();
        assert!(error.contains("did you mean `default`?"), "{error}");
    }
}
