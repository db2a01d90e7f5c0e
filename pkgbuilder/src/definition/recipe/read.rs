//! Recipes as files of their own: YAML as nfpm has it, or Jsonnet.

use std::path::Path;

use anyhow::Result;
use serde::de::DeserializeOwned;

use super::Recipe;
use crate::definition::{jsonnet, nearest, raw};
use crate::input_error;

/// Reads a recipe: Jsonnet by its name, otherwise YAML. Its imports stay in its folder.
pub fn read_file(path: &Path) -> Result<Recipe> {
    let is_jsonnet = path.extension().is_some_and(|extension| extension == "jsonnet");
    if is_jsonnet {
        let own = path
            .canonicalize()
            .map_err(|error| input_error!("cannot open {}: {error}", path.display()))?;
        let folder = own.parent().unwrap_or(Path::new("/")).to_owned();
        let evaluated = jsonnet::evaluate(&own, std::slice::from_ref(&folder), &folder)?;
        return raw::read(&evaluated);
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| input_error!("cannot read {}: {error}", path.display()))?;
    read_yaml(&text, &path.display().to_string())
}

/// Reads YAML; what does not fit is told with its line in the file `shown`.
pub fn read_yaml<T: DeserializeOwned>(text: &str, shown: &str) -> Result<T> {
    serde_norway::from_str(text).map_err(|error| {
        let place = match error.location() {
            Some(location) => format!("{shown}:{}:{}", location.line(), location.column()),
            None => shown.to_owned(),
        };
        let text = error.to_string();
        let text = text.split_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        // `contents[0]: unknown field `scr`, expected one of `src`, `dst``
        let names: Vec<String> = text.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let kind = [("unknown field", "key"), ("unknown variant", "value")]
            .into_iter()
            .find(|(said, _)| text.contains(said));
        match (kind, names.split_first()) {
            (Some((said, kind)), Some((unknown, known))) => {
                let inside = text.split(said).next().unwrap_or_default().trim_end_matches([':', ' ']);
                let inside = if inside.is_empty() {
                    String::new()
                } else {
                    format!(" in `{inside}`")
                };
                let near = nearest(unknown, known);
                input_error!(
                    "{place}: unknown {kind} `{unknown}`{inside}{near}; there are: {}",
                    known.join(", ")
                )
            }
            _ => input_error!("{place}: {text}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::recipe::{ContentType, Mode, Moment};

    fn recipe(text: &str) -> Result<Recipe> {
        read_yaml(text, "x.yaml")
    }

    #[test]
    fn yaml_is_read_as_nfpm_reads_it() {
        let recipe = recipe(
            "name: foo\nversion: 1.20\nrelease: 4\nepoch: 2\numask: 0o027\nmtime: 2023-01-02\ndepends:\nscripts:\n\
             contents:\n- src: a\n  dst: /b\n  type: config|noreplace\n  file_info:\n    mode: 04755\n\
             - {dst: /d, type: dir, file_info: {mode: 0700, group: \"test\"}}\nrpm:\n  group: [1, {a: b}]\n",
        )
        .unwrap();
        assert_eq!(
            (recipe.version.as_str(), recipe.release.as_str(), recipe.epoch.as_str()),
            ("1.20", "4", "2")
        );
        assert_eq!(recipe.umask, Some(Mode(0o027)));
        assert_eq!(recipe.mtime, Some(Moment(1_672_617_600)));
        assert_eq!(recipe.contents[0].kind, ContentType::ConfigNoReplace);
        assert_eq!(recipe.contents[0].file_info.mode, Some(Mode(0o4755)));
        assert_eq!(recipe.contents[1].file_info.mode, Some(Mode(0o700)));
        assert!(recipe.depends.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        for (text, parts) in [
            (
                "name: x\ncontnets: []\n",
                &["x.yaml:2:1: unknown key `contnets` (did you mean `contents`?)"][..],
            ),
            (
                "contents:\n- dst: /x\n  scr: y\n",
                &["x.yaml:3:3: unknown key `scr` in `contents[0]` (did you mean `src`?)"],
            ),
            (
                "contents:\n- dst: /x\n  type: confg\n",
                &[
                    "x.yaml:3:",
                    "unknown value `confg` in `contents[0].type` (did you mean `config`?)",
                ],
            ),
            (
                "contents:\n- dst: /x\n  file_info: {mode: 644}\n",
                &["x.yaml:3:", "`644` is not an octal mode"],
            ),
            ("mtime: now\n", &["x.yaml:1:", "`now` is not a time"]),
            ("depends: bash\n", &["x.yaml:1:"]),
            ("name: [\n", &["x.yaml:"]),
            ("name: a\nname: b\n", &["x.yaml:", "duplicate field `name`"]),
        ] {
            let error = recipe(text).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            let error = error.to_string();
            for part in parts {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
