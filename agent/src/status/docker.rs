//! Docker's own interface, asked as far as Nomad needs it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::render::docker;
use crate::root::Root;

/// Where Docker listens, once it does.
const SOCKET: &str = "/run/docker.sock";
/// Where Nomad keeps what its tasks work in: empty on a node that has run none.
const ALLOCATIONS: &str = "/var/lib/nomad/alloc";

/// What its client knows of them, a database of bbolt: jobs as they were submitted, in `MessagePack`, uncompressed
/// (`client/state/db_bolt.go` of 1.10.5).
const STATE: &str = "/var/lib/nomad/client/state.db";
/// The driver as such a job names it.
const DRIVER: &[u8] = b"docker";

/// Whether Nomad may look for containers when it starts: Docker is to run, and there are allocations of its driver.
///
/// A node that has none need not wait: Nomad looks for Docker again and again while it runs.
pub fn is_needed(root: &Root) -> bool {
    if root.list(docker::DIRECTORY).is_empty() || root.list(ALLOCATIONS).is_empty() {
        return false;
    }
    // One that was is named for a while after it has gone: then a start is as slow as it could have been.
    std::fs::read(root.path(STATE)).map_or(true, |state| state.windows(DRIVER.len()).any(|word| word == DRIVER))
}

/// Docker answers.
///
/// # Errors
/// It does not, or not yet.
pub fn answers(root: &Root) -> anyhow::Result<()> {
    let mut stream = UnixStream::connect(root.path(SOCKET)).context("connecting to Docker")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // docs.docker.com/reference/api/engine, "Ping"
    stream
        .write_all(b"GET /_ping HTTP/1.0\r\n\r\n")
        .context("asking Docker")?;
    let mut answer = Vec::new();
    stream
        .take(4096)
        .read_to_end(&mut answer)
        .context("reading Docker's answer")?;
    let first = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    ensure!(
        first.ends_with(b" 200 OK"),
        "Docker answers `{}`",
        String::from_utf8_lossy(first)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_node_with_allocations_of_docker_waits_and_until_docker_answers() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        std::fs::create_dir_all(root.path("/run")).unwrap();
        std::fs::create_dir_all(root.path(ALLOCATIONS)).unwrap();
        std::fs::create_dir_all(root.path(docker::DIRECTORY)).unwrap();
        std::fs::create_dir(root.path(ALLOCATIONS).join("3f0a")).unwrap();
        assert!(!is_needed(&root), "no Docker is to run");
        std::fs::write(root.path(docker::DIRECTORY).join("daemon.json"), "{}").unwrap();
        assert!(is_needed(&root), "who knows of what");
        let state = root.path(STATE);
        std::fs::create_dir_all(state.parent().unwrap()).unwrap();
        std::fs::write(&state, b"\xa6Driver\xa4exec").unwrap();
        assert!(!is_needed(&root), "its tasks are of another driver");
        std::fs::write(&state, b"\xa6Driver\xa6docker").unwrap();
        assert!(is_needed(&root));
        std::fs::remove_dir(root.path(ALLOCATIONS).join("3f0a")).unwrap();
        assert!(!is_needed(&root));
        assert!(answers(&root).is_err());
        let listener = UnixListener::bind(root.path(SOCKET)).unwrap();
        let server = std::thread::spawn(move || {
            for status in ["503 Service Unavailable", "200 OK"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 32];
                let _ = stream.read(&mut request).unwrap();
                write!(stream, "HTTP/1.0 {status}\r\n\r\n").unwrap();
            }
        });
        assert!(answers(&root).unwrap_err().to_string().contains("503"));
        answers(&root).unwrap();
        server.join().unwrap();
    }
}
