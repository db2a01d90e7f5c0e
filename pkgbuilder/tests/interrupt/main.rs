//! Ctrl-C during a download. Alone in its process, for a signal is for the whole process.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../server/mod.rs"]
mod server;

use std::time::{Duration, Instant};

use pkgbuilder::fetch::{Cache, Fetcher, Request};
use pkgbuilder::interrupt;
use pkgbuilder::reporter::Reporter;
use pkgbuilder::verify::Sha256;

use self::server::{Fault, Server};

const RECEIVED: usize = 120_000;

#[test]
fn ctrl_c_ends_a_download_at_once_and_keeps_what_came() {
    interrupt::install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let content = vec![7; 300_000];
    std::fs::write(folder.path().join("file"), &content).unwrap();
    let server = Server::start(folder.path());
    server.always("file", Fault::Stall(RECEIVED));
    let cache = Cache::at(&folder.path().join("cache")).unwrap();
    let fetcher = Fetcher::new(cache.clone(), Reporter::new(true)).unwrap();
    let sha256 = Sha256::of(&content);
    let partial = cache.root().join("partial").join(sha256.hex());
    let begun = Instant::now();
    let error = std::thread::scope(|scope| {
        let download = scope.spawn(|| {
            fetcher.fetch(Request {
                urls: vec![format!("{}/file", server.url())],
                sha256: Some(sha256),
                size: Some(content.len() as u64),
                label: "file".to_owned(),
            })
        });
        while std::fs::metadata(&partial).map_or(0, |metadata| metadata.len()) < RECEIVED as u64 {
            assert!(begun.elapsed() < Duration::from_secs(20), "the download did not begin");
            std::thread::sleep(Duration::from_millis(10));
        }
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
        download.join().unwrap().unwrap_err()
    });
    assert_eq!(pkgbuilder::failure::exit_code(&error), 130);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it waited for the stalled server"
    );
    assert_eq!(cache.get(&sha256), None);
    assert_eq!(std::fs::read(&partial).unwrap(), content[..RECEIVED]);
}
