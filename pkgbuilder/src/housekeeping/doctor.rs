//! What this machine lacks, what it reaches, what it has room for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use serde::Serialize;

use super::{quantity, space};
use crate::definition::Image;
use crate::definition::image::Source;
use crate::fetch::Cache;
use crate::fetch::mirror::Mirror;

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Room that a first build of one image and its packages takes: downloads, unpacked content, compressed blocks.
const CACHE_ROOM: u64 = 4 << 30;
/// Packages and one image with its companions.
const OUT_ROOM: u64 = 2 << 30;
/// Go's working files while Nomad is built from its module.
const TMP_ROOM: u64 = 2 << 30;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// Something can be done only otherwise, or not at all, but `pkgbuilder build` can work.
    Lacking,
    /// `scripts/build` cannot work.
    Bad,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What, such as `go` or `debian mirror`.
    pub name: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and what it is for where it was not.
    pub found: String,
    /// The command or advice that mends it.
    pub mend: Option<String>,
}

impl Finding {
    fn good(name: &str, found: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            verdict: Verdict::Good,
            found: found.into(),
            mend: None,
        }
    }

    /// A definition that does not evaluate.
    pub fn broken_definition(path: &Path, error: &anyhow::Error) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::not(
            &format!("definition {name}"),
            Verdict::Bad,
            format!("{error:#}"),
            format!("correct {}", path.display()),
        )
    }

    fn not(name: &str, verdict: Verdict, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            verdict,
            found: found.into(),
            mend: Some(mend.into()),
        }
    }
}

/// Programs: command that shows its version, what it is for, whether `scripts/build` cannot do without, what mends.
const PROGRAMS: [(&[&str], &str, Verdict, &str); 8] = [
    (
        &["cargo", "--version"],
        "builds the agent",
        Verdict::Bad,
        "install Rust from https://rustup.rs (1.95 or newer)",
    ),
    (
        &["cc", "--version"],
        "compiles for this machine",
        Verdict::Bad,
        "apt-get install gcc libc6-dev",
    ),
    (
        &["go", "version"],
        "builds Nomad and Consul where their release host is out of reach, and for ARMv6",
        Verdict::Lacking,
        "install Go from https://go.dev/dl (1.24 or newer)",
    ),
    (
        &["cargo-deb", "--version"],
        "packages the agent",
        Verdict::Lacking,
        "scripts/build installs it",
    ),
    (
        &["mmdebstrap", "--version"],
        "scripts/test: a real Debian to compare with",
        Verdict::Lacking,
        "apt-get install mmdebstrap",
    ),
    (
        &["lintian", "--version"],
        "scripts/test: judges packages",
        Verdict::Lacking,
        "apt-get install lintian",
    ),
    (
        &["qemu-system-aarch64", "--version"],
        "scripts/test: boots the image",
        Verdict::Lacking,
        "apt-get install qemu-system-arm ipxe-qemu",
    ),
    (
        &["qemu-system-x86_64", "--version"],
        "scripts/test: boots an ordinary Debian",
        Verdict::Lacking,
        "apt-get install qemu-system-x86",
    ),
];

/// Debian's cross compilers, by architecture.
const COMPILERS: [(Arch, &str); 4] = [
    (Arch::Amd64, "gcc-x86-64-linux-gnu libc6-dev-amd64-cross"),
    (Arch::Arm64, "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
    (Arch::Armhf, "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross"),
    (Arch::Armel, "gcc-arm-linux-gnueabi libc6-dev-armel-cross"),
];

/// Rust targets of the agent and of `/init`.
const TARGETS: [&str; 4] = [
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
];

/// Looks at everything. `images` are the definitions of the checkout, `out` the folder of results.
pub fn examine(images: &[Image], cache: &Cache, out: &Path) -> Result<Vec<Finding>> {
    let mut findings = programs(cache);
    findings.extend(compilers());
    findings.extend(targets());
    findings.extend(hosts(images)?);
    findings.extend(rooms(cache, out)?);
    Ok(findings)
}

/// The first line that a program says about itself.
fn version(command: &[&str], path: Option<&Path>) -> Option<String> {
    let mut program = Command::new(command[0]);
    if let Some(folder) = path {
        let mut paths = vec![folder.to_owned()];
        paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        program = Command::new(find(command[0], &paths)?);
    }
    let output = crate::command::output(program.args(&command[1..])).ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().to_owned())
}

fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn programs(cache: &Cache) -> Vec<Finding> {
    // scripts/build keeps its cargo tools there.
    let tools = cache.root().join("tools/bin");
    PROGRAMS
        .iter()
        .map(
            |(command, purpose, verdict, mend)| match version(command, Some(&tools)) {
                Some(version) => Finding::good(command[0], version),
                None => Finding::not(command[0], *verdict, format!("is missing: {purpose}"), *mend),
            },
        )
        .collect()
}

fn compilers() -> Vec<Finding> {
    COMPILERS
        .iter()
        .filter(|(arch, _)| Arch::host() != Some(*arch))
        .map(|(arch, packages)| {
            let compiler = format!("{}-gcc", arch.names().gnu);
            if let Some(version) = version(&[&compiler, "--version"], None) {
                return Finding::good(&compiler, version);
            }
            // What scripts/build makes the agent for.
            let verdict = if matches!(arch, Arch::Amd64 | Arch::Arm64) {
                Verdict::Bad
            } else {
                Verdict::Lacking
            };
            let found = format!("is missing: compiles for {arch}");
            Finding::not(&compiler, verdict, found, format!("apt-get install {packages}"))
        })
        .collect()
}

fn targets() -> Vec<Finding> {
    let Some(sysroot) = version(&["rustc", "--print", "sysroot"], None) else {
        return Vec::new();
    };
    let library = Path::new(&sysroot).join("lib/rustlib");
    TARGETS
        .iter()
        .map(|target| {
            let name = format!("rust {target}");
            if library.join(target).join("lib").is_dir() {
                return Finding::good(&name, "installed");
            }
            let mend = format!("rustup target add {target}");
            Finding::not(&name, Verdict::Bad, "is missing: the agent is built for it", mend)
        })
        .collect()
}

/// A host that is asked whether it answers.
struct Host {
    name: String,
    url: String,
    /// Whether the answer must be the file asked for, not just any.
    whole: bool,
    verdict: Verdict,
    mend: &'static str,
}

fn hosts(images: &[Image]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut hosts = Vec::new();
    match Mirror::find(None, None) {
        Ok(mirror) => hosts.push(Host {
            name: "debian mirror".to_owned(),
            url: format!("{}/dists/trixie/InRelease", mirror.base("trixie").trim_end_matches('/')),
            whole: true,
            verdict: Verdict::Bad,
            mend: "name another by --mirror URL or in COMPUTATOM_MIRROR",
        }),
        Err(error) => findings.push(Finding::not(
            "debian mirror",
            Verdict::Bad,
            format!("{error:#}"),
            "export COMPUTATOM_MIRROR=URL",
        )),
    }
    if let Some(proxies) = version(&["go", "env", "GOPROXY"], None) {
        let first = proxies.split([',', '|']).next().unwrap_or_default().to_owned();
        if first.contains("://") {
            hosts.push(Host {
                name: "go module proxy".to_owned(),
                url: first,
                whole: false,
                verdict: Verdict::Lacking,
                mend: "name another by `go env -w GOPROXY=URL`",
            });
        }
    }
    for origin in release_hosts(images) {
        hosts.push(Host {
            name: format!("release host {}", origin.trim_start_matches("https://")),
            url: origin,
            whole: false,
            verdict: Verdict::Lacking,
            mend: "what comes from it is built from its Go module instead, or see --release-host",
        });
    }
    findings.extend(ask(&hosts)?);
    Ok(findings)
}

/// Scheme and host of every release that the definitions' components may come from.
fn release_hosts(images: &[Image]) -> BTreeSet<String> {
    let sources = images
        .iter()
        .flat_map(|image| &image.components)
        .flat_map(|component| &component.sources);
    let urls = sources.filter_map(|source| match source {
        Source::Release { url, .. } => Some(url),
        _ => None,
    });
    urls.filter_map(|url| {
        let (scheme, rest) = url.split_once("://")?;
        Some(format!("{scheme}://{}", rest.split('/').next()?))
    })
    .collect()
}

/// Asks all hosts at once, each for [`PATIENCE`] at most.
fn ask(hosts: &[Host]) -> Result<Vec<Finding>> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .connect_timeout(PATIENCE)
        .build()
        .context("preparing to ask hosts")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("preparing to ask hosts")?;
    let answers = runtime.block_on(futures_util::future::join_all(
        hosts.iter().map(|host| answer(&client, host)),
    ));
    Ok(answers)
}

async fn answer(client: &reqwest::Client, host: &Host) -> Finding {
    if let Some(path) = host.url.strip_prefix("file://") {
        return if Path::new(path).exists() {
            Finding::good(&host.name, host.url.clone())
        } else {
            Finding::not(&host.name, host.verdict, format!("{path} does not exist"), host.mend)
        };
    }
    let began = Instant::now();
    match client.head(&host.url).send().await {
        Ok(response) if !host.whole || response.status().is_success() => {
            let millis = began.elapsed().as_millis();
            Finding::good(&host.name, format!("answers within {millis} ms"))
        }
        Ok(response) => {
            let found = format!("answers {} for {}", response.status(), host.url);
            Finding::not(&host.name, host.verdict, found, host.mend)
        }
        Err(error) => {
            let reason = if error.is_timeout() {
                format!("no answer within {} s", PATIENCE.as_secs())
            } else {
                innermost(&error)
            };
            Finding::not(&host.name, host.verdict, format!("out of reach: {reason}"), host.mend)
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn rooms(cache: &Cache, out: &Path) -> Result<Vec<Finding>> {
    let tmp = std::env::temp_dir();
    let rooms = [
        (
            "room in the cache",
            cache.root(),
            CACHE_ROOM,
            "pkgbuilder cache prune, or set XDG_CACHE_HOME",
        ),
        ("room for results", out, OUT_ROOM, "name another folder by --out DIR"),
        (
            "room for temporary files",
            tmp.as_path(),
            TMP_ROOM,
            "set TMPDIR to a folder on a bigger disk",
        ),
    ];
    rooms
        .into_iter()
        .map(|(name, folder, wanted, mend)| {
            let free = space::free(folder)?;
            let found = format!("{} free in {}", quantity::bytes(free), folder.display());
            if free >= wanted {
                return Ok(Finding::good(name, found));
            }
            let found = format!("{found}, a first build may take {}", quantity::bytes(wanted));
            Ok(Finding::not(name, Verdict::Lacking, found, mend))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn host(url: String, whole: bool) -> Host {
        Host {
            name: "host".to_owned(),
            url,
            whole,
            verdict: Verdict::Bad,
            mend: "mend",
        }
    }

    #[test]
    fn hosts_answer_refuse_or_are_away() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let found = ask(&[
            host(url.clone(), false),
            host(url, true),
            host(format!("http://{closed}/"), false),
            host(format!("file://{}", folder.path().display()), true),
            host(format!("file://{}/not", folder.path().display()), true),
        ])
        .unwrap();
        server.join().unwrap();
        let verdicts: Vec<Verdict> = found.iter().map(|finding| finding.verdict).collect();
        let (good, bad) = (Verdict::Good, Verdict::Bad);
        assert_eq!(verdicts, [good, bad, bad, good, bad], "{found:?}");
        assert!(found[1].found.contains("404") && found[2].found.contains("out of reach"));
    }

    #[test]
    fn programs_are_found_by_their_version() {
        assert!(version(&["cargo", "--version"], None).unwrap().starts_with("cargo 1."));
        assert_eq!(version(&["no-such-program", "--version"], None), None);
    }
}
