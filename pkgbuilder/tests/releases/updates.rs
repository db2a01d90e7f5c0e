//! `lock --update` and `lock --check`.

use std::fs;
use std::path::Path;

use crate::server::Fault;
use crate::{Release, assert_says};

const INDEX: &str = "/hashicorp/hello/index.json";

/// What a component needs to be moved: a range, and a version that is refused.
const RANGE: &str = "range: '~1.2', refused: { '1.2.4': 'it eats cards; take 1.2.5 or newer' }";

impl Release {
    /// `lock` with arguments; what it says on standard output.
    #[track_caller]
    fn lock(&self, arguments: &[&str]) -> String {
        let output = self.command("lock", arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The locked version of `hello`, and its digest for arm64.
    fn locked(&self) -> (String, String) {
        let lock: serde_json::Value = serde_json::from_slice(&fs::read(self.world.lock()).unwrap()).unwrap();
        let hello = &lock["components"]["hello"];
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (text(&hello["version"]), text(&hello["release"]["arm64"]["sha256"]))
    }

    /// What `lock` with these arguments refuses with a code, leaving the lock as it was.
    #[track_caller]
    fn refuses_lock(&self, arguments: &[&str], code: i32) -> String {
        let before = fs::read(self.world.lock()).ok();
        let output = self.command("lock", arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(fs::read(self.world.lock()).ok(), before, "the lock was changed");
        said
    }

    fn publish(&self, versions: &[&str]) {
        for version in versions {
            self.publisher.hashicorp("hello", version, &["amd64", "arm64"]);
        }
    }
}

#[test]
fn the_newest_version_in_the_range_is_taken_and_the_others_explained() {
    let release = Release::new();
    release.define(RANGE);
    release.lock(&[]);
    assert_eq!(release.locked().0, "1.2.0");
    release.publish(&[
        "1.1.9",
        "1.2.1",
        "1.2.3",
        "1.2.4",
        "1.2.5-rc.1",
        "1.2.4+ent",
        "1.2.4+ent.hsm",
        "1.3.0",
    ]);

    let plan = "hello: 1.2.0 -> 1.2.3 (range ~1.2, listed by https://releases.hashicorp.com/hello/index.json)
  not 1.2.4: refused: it eats cards; take 1.2.5 or newer
  not 1.3.0: outside of the range ~1.2
  not 1.2.5-rc.1: pre-release
  not 1.2.4+ent.hsm, 1.2.4+ent: another edition (enterprise builds need a licence)
";
    assert_eq!(release.lock(&["--update", "--dry-run"]), plan);
    assert_eq!(release.locked().0, "1.2.0", "a dry run");
    let said = release.refuses_lock(&["--check", "--update"], 2);
    assert_says(
        &said,
        &["there are newer versions of hello: run `pkgbuilder lock tiny --update`"],
    );

    assert_eq!(release.lock(&["--update", "hello"]), plan);
    let digest = release.publisher.digest("hello", "1.2.3", "arm64");
    assert_eq!(
        release.locked(),
        ("1.2.3".to_owned(), digest),
        "as the publisher's signed list says"
    );
    assert!(
        release
            .lock(&["--update"])
            .starts_with("hello: 1.2.3 is the newest (range ~1.2")
    );
    release.lock(&["--check", "--update"]);

    // From here on that version is what the definition means.
    release.world.succeeds(release.packages(&["--locked"]));
    assert!(
        release
            .world
            .checkout()
            .join("out/packages/hello_1.2.3-1_arm64.deb")
            .is_file()
    );
    release.lock(&[]);
    assert_eq!(release.locked().0, "1.2.3", "a plain lock does not go back");
    // Until the definition says otherwise.
    release.define("");
    release.lock(&[]);
    assert_eq!(release.locked().0, "1.2.0");
}

#[test]
fn a_choice_outside_a_narrower_range_is_dropped() {
    let release = Release::new();
    release.define("range: '~1.2'");
    release.publish(&["1.2.3"]);
    release.lock(&["--update"]);
    assert_eq!(release.locked().0, "1.2.3");
    release.define("range: '>=1.2.0, <1.2.3'");
    let said = release.refuses_lock(&["--check"], 2);
    assert_says(
        &said,
        &["is stale", "hello is 1.2.3 in it, the definition asks for 1.2.0"],
    );
    release.lock(&[]);
    assert_eq!(release.locked().0, "1.2.0");
    release.lock(&["--check"]);
}

#[test]
fn a_version_that_our_architecture_lacks_is_passed_over() {
    let release = Release::new();
    release.define("range: '~1.2'");
    release.publish(&["1.2.1"]);
    release.publisher.hashicorp("hello", "1.2.2", &["amd64"]);
    let plan = release.lock(&["--update"]);
    assert_says(
        &plan,
        &["hello: 1.2.0 -> 1.2.1", "not 1.2.2: no source has it for arm64"],
    );
    assert_eq!(release.locked().0, "1.2.1");
}

#[test]
fn a_new_version_with_a_bad_signature_stops() {
    let release = Release::new();
    release.define("range: '~1.2'");
    release.lock(&[]);
    release.publish(&["1.2.1"]);
    let list = release.publisher.list("hello", "1.2.1");
    fs::write(&list, fs::read_to_string(&list).unwrap().replace('a', "b")).unwrap();
    let said = release.refuses_lock(&["--update"], 2);
    assert_says(
        &said,
        &[
            "the signature of hello_1.2.1_SHA256SUMS of hello 1.2.1",
            "what it signs was changed",
        ],
    );
    release.publisher.hashicorp("hello", "1.2.1", &["arm64"]);
    release.lock(&["--update"]);
    assert_eq!(release.locked().0, "1.2.1");
}

#[test]
fn a_definition_that_pins_another_versions_archive_is_caught() {
    let release = Release::new();
    let old = release.publisher.digest("hello", "1.2.0", "arm64");
    release.publish(&["1.2.1"]);
    let new = release.publisher.digest("hello", "1.2.1", "arm64");
    release.define(&format!(
        "range: '~1.2', sources: [super.sources[0] {{ sha256: {{ arm64: '{old}' }} }}]"
    ));
    let said = release.refuses_lock(&["--update"], 2);
    assert_says(
        &said,
        &["hello 1.2.1: ", &format!("has the SHA-256 {new}, but {old} is pinned")],
    );
}

#[test]
fn an_index_that_lies_or_is_not_there() {
    let release = Release::new();
    release.define("range: '~1.2'");
    release.lock(&[]);
    release
        .world
        .server
        .always(INDEX, Fault::Page("<html>log in</html>".to_owned()));
    let said = release.refuses_lock(&["--update"], 2);
    assert_says(
        &said,
        &[
            "index.json is no list of versions",
            "the server answered with something else",
        ],
    );
    release.world.server.heal();
    release.world.server.always(INDEX, Fault::Status(403));
    let said = release.refuses_lock(&["--update"], 1);
    assert_says(
        &said,
        &[
            "nobody can be asked for newer versions now",
            "hello: release: ",
            "403 Forbidden",
        ],
    );
    release.world.server.heal();
    assert_says(&release.lock(&["--update"]), &["hello: 1.2.0 is the newest"]);
}

#[test]
fn what_cannot_be_updated_is_said() {
    let release = Release::new();
    let said = release.refuses_lock(&["--update", "hello"], 2);
    assert_says(
        &said,
        &["the definition names hello 1.2.0 and no range", "add `range: "],
    );
    let said = release.refuses_lock(&["--update", "helo"], 2);
    assert_says(&said, &["tiny has no component `helo` (did you mean `hello`?)"]);
    let said = release.refuses_lock(&["--dry-run"], 2);
    assert_says(&said, &["--update"]);
}

#[test]
fn a_version_below_its_range_is_refused_with_the_place() {
    let release = Release::new();
    release.define("range: '>=1.3, <2'");
    let said = release.refuses_lock(&[], 2);
    assert_says(
        &said,
        &[
            "images/tiny.jsonnet:",
            "hello 1.2.0 is outside of its range `>=1.3, <2`",
        ],
    );
    release.define("range: 'newest'");
    let said = release.refuses_lock(&[], 2);
    assert_says(
        &said,
        &["`newest` is not a range of versions: write `1.10.5`, `~1.10` or"],
    );
}

#[test]
fn check_names_what_is_stale() {
    let release = Release::new();
    let said = release.refuses_lock(&["--check"], 2);
    assert_says(&said, &["there is no lock", "run `pkgbuilder lock tiny`"]);
    release.lock(&[]);
    release.lock(&["--check"]);
    // Nobody is asked.
    release.seen();
    release.lock(&["--check"]);
    assert_eq!(release.seen(), Vec::<String>::new());

    let digest = "0".repeat(64);
    release.define(&format!(
        "sources: [super.sources[0] {{ sha256: {{ arm64: '{digest}' }} }}]"
    ));
    let said = release.refuses_lock(&["--check"], 2);
    assert_says(&said, &["hello 1.2.0 has another archive for arm64 in it"]);
    release.world.define(&[]);
    let said = release.refuses_lock(&["--check"], 2);
    assert_says(&said, &["hello is in it, but not in the definition"]);
    release
        .world
        .define(&[("debian+", "{ packages: ['library'], prefer: [], avoid: [] }")]);
    release.lock(&[]);
    release.world.define(&[]);
    let said = release.refuses_lock(&["--check"], 2);
    assert_says(
        &said,
        &["what is asked for raspberrypi-arm64 has changed since its Debian packages were chosen"],
    );
}

/// A module proxy in a folder (<https://go.dev/ref/mod#goproxy-protocol>) that has `example.invalid/hello`.
fn module_proxy(folder: &Path, versions: &[&str]) {
    let module = folder.join("example.invalid/hello/@v");
    fs::create_dir_all(&module).unwrap();
    let list: Vec<String> = versions.iter().map(|version| format!("v{version}\n")).collect();
    fs::write(module.join("list"), list.concat()).unwrap();
    let go_mod = "module example.invalid/hello\n\ngo 1.21\n";
    for version in versions {
        let name = |suffix: &str| module.join(format!("v{version}.{suffix}"));
        let info = format!("{{\"Version\": \"v{version}\", \"Time\": \"2025-09-09T14:36:44Z\"}}");
        fs::write(name("info"), info).unwrap();
        fs::write(name("mod"), go_mod).unwrap();
        let files = [
            ("go.mod", go_mod),
            ("LICENSE.txt", "free\n"),
            ("main.go", "package main\n\nfunc main() {}\n"),
        ];
        let paths: Vec<(String, &str)> = files
            .iter()
            .map(|(path, content)| (format!("example.invalid/hello@v{version}/{path}"), *content))
            .collect();
        let files: Vec<(&str, &str)> = paths.iter().map(|(path, content)| (path.as_str(), *content)).collect();
        fs::write(name("zip"), crate::server::releases::zip(&files)).unwrap();
    }
}

#[test]
fn where_the_release_host_is_out_of_reach_the_module_proxy_is_asked() {
    let release = Release::new();
    release.define(
        "range: '~1.2',
         sources+: [{
           type: 'go-module', module: 'example.invalid/hello', binaries: { hello: '.' }, tags: [], ldflags: [],
           cgo: false, drop_replace: [], replace: {}, no_sum_db: ['example.invalid/*'],
         }]",
    );
    let proxy = release.world.folder.path().join("goproxy");
    module_proxy(&proxy, &["1.2.0", "1.2.7", "1.2.8-rc.1"]);
    let mut command = release.command("lock", &["--update"]);
    command
        .env("COMPUTATOM_RELEASE_MIRROR", "releases.hashicorp.com=http://127.0.0.1:9")
        .env("GOPROXY", format!("file://{}", proxy.display()))
        .env("GOMODCACHE", release.world.folder.path().join("gomodcache"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "hello: 1.2.0 -> 1.2.7 (range ~1.2, listed by module proxy)\n  not 1.2.8-rc.1: pre-release\n"
    );
    let lock: serde_json::Value = serde_json::from_slice(&fs::read(release.world.lock()).unwrap()).unwrap();
    let module = &lock["components"]["hello"]["go_module"];
    assert_eq!(module["version"], "v1.2.7");
    assert!(module["sum"].as_str().unwrap().starts_with("h1:"));
}
