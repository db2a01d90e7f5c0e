use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder with a recipe and its files, outside any checkout.
struct Bench {
    folder: tempfile::TempDir,
}

const RECIPE: &str = "\
name: tool
arch: all
version: 1.0.0
maintainer: A Person <a@example.org>
contents:
- src: tool.sh
  dst: /usr/bin/tool
";

impl Bench {
    fn new(recipe: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tool.yaml"), recipe).unwrap();
        fs::write(folder.path().join("tool.sh"), "#!/bin/sh\necho hello\n").unwrap();
        Self { folder }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"));
        command
            .current_dir(self.folder.path())
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .args(["--quiet", "packages", "--recipe", "tool.yaml"])
            .args(arguments);
        command.output().unwrap()
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }
}

#[track_caller]
fn refused(recipe: &str, parts: &[&str]) {
    let bench = Bench::new(recipe);
    let output = bench.run(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "one sentence:\n{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    assert!(!bench.out().exists(), "something was written");
}

#[test]
fn no_repository_and_no_key_are_made_where_nobody_wants_them() {
    let bench = Bench::new(RECIPE);
    let output = bench.run(&["--no-repository"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Vec<_> = fs::read_dir(bench.out().join("packages")).unwrap().collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(bench.out().join("packages/tool_1.0.0_all.deb").is_file());
    assert!(!bench.folder.path().join("data").exists(), "a signing key was made");
    let output = bench.run(&["--no-repository", "--signing-key", "key.asc"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_recipe_outside_any_checkout_becomes_a_package() {
    let bench = Bench::new(RECIPE);
    let output = bench.run(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = String::from_utf8(output.stdout).unwrap();
    assert_eq!(path, "out/packages/tool_1.0.0_all.deb\n");
    let deb = bench.folder.path().join(path.trim());
    let listing = Command::new("dpkg-deb").arg("-c").arg(&deb).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    assert!(
        listing.contains("root/root") && listing.contains("./usr/bin/tool\n"),
        "{listing}"
    );
    let index = fs::read_to_string(bench.out().join("packages/dists/stable/InRelease"));
    assert!(
        index.is_ok() || fs::read_dir(bench.out().join("packages/dists")).is_ok(),
        "it is in the repository"
    );
}

#[test]
fn keys_and_values_that_do_not_exist() {
    refused(
        &RECIPE.replace("contents", "contnets"),
        &["tool.yaml:5:1: unknown key `contnets` (did you mean `contents`?)"],
    );
    refused(
        &RECIPE.replace("  dst", "  type: confg\n  dst"),
        &["tool.yaml:7:", "unknown value `confg`", "(did you mean `config`?)"],
    );
    refused(&RECIPE.replace("name: tool", "name: [tool"), &["tool.yaml:"]);
}

#[test]
fn files_that_are_not_there() {
    refused(
        &RECIPE.replace("tool.sh", "toll.sh"),
        &[
            "there is no file `toll.sh`",
            "relative to the folder that the command runs in",
        ],
    );
    refused(
        &RECIPE.replace("tool.sh", "'*.txt'"),
        &["`*.txt` matches no file", "disable_globbing"],
    );
    refused(
        &format!("{RECIPE}scripts: {{postinstall: post.sh}}\n"),
        &["cannot read `post.sh`", "which the recipe names"],
    );
    refused(
        &format!("{RECIPE}changelog: changes.yaml\n"),
        &["cannot read `changes.yaml`"],
    );
}

#[test]
fn modes_and_places_that_cannot_be() {
    let mode = |mode: &str| format!("{RECIPE}  file_info: {{mode: {mode}}}\n");
    refused(
        &mode("644"),
        &["tool.yaml:8:", "`644` is not an octal mode such as `0644`"],
    );
    refused(&mode("rwx"), &["`rwx` is not an octal mode"]);
    for dst in ["usr/bin/tool", "/usr/../../tool", "../tool"] {
        refused(
            &RECIPE.replace("/usr/bin/tool", dst),
            &["`contents[0].dst`", "is not an absolute path"],
        );
    }
}

#[test]
fn control_fields_that_dpkg_would_refuse() {
    let replaced = |from: &str, to: &str| RECIPE.replace(from, to);
    refused(
        &replaced("name: tool", "name: the tool"),
        &["`the tool` is not a package name", "Policy 5.6.1"],
    );
    refused(
        &replaced("1.0.0", "one"),
        &["`one` is not a Debian version: it begins with a digit"],
    );
    refused(
        &replaced("A Person <a@example.org>", "\"A\\nEssential: yes\""),
        &["`maintainer` must be one line"],
    );
    refused(
        &format!("{RECIPE}depends: [bash >= 5]\n"),
        &["`bash >= 5` in `Depends` is not a relationship"],
    );
    refused(
        &format!("{RECIPE}deb: {{fields: {{Depends: x}}}}\n"),
        &["`deb.fields` has `Depends`, which has a key of its own"],
    );
    for (field, part) in [
        (
            "Essential: maybe",
            "`Essential` in `deb.fields` is one of yes, no, not `maybe`",
        ),
        (
            "Multi-Arch: maybe",
            "`Multi-Arch` in `deb.fields` is one of same, foreign, allowed, no",
        ),
        ("Protected: maybe", "`Protected` in `deb.fields`"),
        ("X: y", "`X` in `deb.fields` is too short"),
    ] {
        refused(&format!("{RECIPE}deb: {{fields: {{{field}}}}}\n"), &[part]);
    }
    refused(
        &replaced("arch: all", "arch: mips99"),
        &["`mips99` is not an architecture of Debian"],
    );
    refused(
        &format!("{RECIPE}deb: {{compression: bzip2}}\n"),
        &["`bzip2` in `deb.compression` is unknown"],
    );
}

/// dpkg takes any maintainer, and nfpm's examples have none that can be written to.
#[test]
fn a_maintainer_without_an_address_and_an_unset_variable_are_warned_of() {
    let bench = Bench::new(
        &RECIPE
            .replace("A Person <a@example.org>", "nobody $NOBODY")
            .replace("all", "${GOARCH}"),
    );
    let said = |arguments: &[&str], code: i32| {
        let output = bench.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    };
    let of_arch = said(&["--arch", "arm64"], 0);
    assert!(
        of_arch.contains("the maintainer `nobody ` is not written `Name <address>`"),
        "{of_arch}"
    );
    assert!(
        of_arch.contains("$NOBODY is not set") && !of_arch.contains("$GOARCH"),
        "{of_arch}"
    );
    assert!(bench.out().join("packages/tool_1.0.0_arm64.deb").is_file());
    let without = said(&[], 2);
    assert!(
        without.contains("$GOARCH is not set") && without.contains("has no `arch`"),
        "{without}"
    );
}

#[test]
fn a_recipe_and_an_image_at_once() {
    let bench = Bench::new(RECIPE);
    let output = bench.run(&["home"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("cannot be used with"), "{said}");
}
