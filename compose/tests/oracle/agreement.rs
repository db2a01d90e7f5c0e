//! Debian's own tools in both roots: what they say of one they must say of the other, also after they have changed it.

use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Stdio};

use computatom_compose::tree::Tree;

/// Unpacks both and asks, in namespaces of their own.
const ENTER: &str = include_str!("agreement.sh");

/// Where the tools' answers differ between the root in `real` and `tree`, or where one of them failed. Unpacks both
/// below `dir` and removes what it unpacked.
pub(crate) fn disagreement(real: &Path, tree: &Tree, dir: &Path) -> String {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--ipc", "--pid", "--fork", "--kill-child"]);
    if !is_root() {
        command.args(["--user", "--map-root-user", "--map-auto"]);
    }
    let mut child = command
        .args(["/bin/bash", "-c", ENTER, "agreement"])
        .arg(dir)
        .arg(real)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("running unshare (apt-get install util-linux)");
    let stdin = child.stdin.take().expect("it is piped");
    // Whoever does not read all of it says why below.
    let sent = tree.write_tar(BufWriter::new(stdin));
    let output = child.wait_with_output().expect("waiting for unshare");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match (output.status.success(), sent) {
        (true, Ok(())) => String::new(),
        (true, Err(error)) => format!("our tree was not read to its end: {error}\n"),
        (false, _) => format!("{}{}", said(&output.stdout), said(&output.stderr)),
    }
}

/// Whether this process may do what root may.
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("running id");
    output.stdout == b"0\n"
}
