//! Downloads: cut, stalled, refused, raced.

use std::fs;
use std::path::PathBuf;

use pkgbuilder::fetch::{Fetcher, Outcome, Request};
use pkgbuilder::reporter::Reporter;
use pkgbuilder::verify::Sha256;

use crate::server::{Fault, Seen};
use crate::{World, limits};

const SIZE: usize = 300_000;

/// A file on the server: 300 kB without a pattern that repeats soon.
fn publish(world: &World, name: &str) -> Request {
    let mut state = 1_u32;
    let content: Vec<u8> = (0..SIZE)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    fs::write(world.folder.path().join("archive").join(name), &content).unwrap();
    Request {
        urls: vec![format!("{}/{name}", world.server.url())],
        sha256: Some(Sha256::of(&content)),
        size: Some(content.len() as u64),
        label: name.to_owned(),
    }
}

fn fetch(world: &World, request: &Request) -> anyhow::Result<Outcome> {
    world.fetcher.fetch(request.clone())
}

fn path(name: &str, from: Option<usize>) -> Seen {
    Seen {
        path: format!("/{name}"),
        from,
    }
}

fn assert_whole(world: &World, request: &Request) {
    let sha256 = request.sha256.unwrap();
    assert!(world.cache().verified(&sha256).unwrap().is_some());
    world.assert_cache_is_clean();
}

#[test]
fn a_cut_download_is_resumed_where_it_was_cut() {
    let world = World::empty();
    let request = publish(&world, "file");
    // Five cuts with two retries allowed: each one gets further, so none counts twice.
    world.server.fault("file", 5, Fault::Truncate(50_000));
    fetch(&world, &request).unwrap().unwrap();
    let from: Vec<Option<usize>> = world.server.seen().into_iter().map(|seen| seen.from).collect();
    assert_eq!(
        from,
        [
            None,
            Some(50_000),
            Some(100_000),
            Some(150_000),
            Some(200_000),
            Some(250_000)
        ]
    );
    assert_whole(&world, &request);
}

#[test]
fn a_stalled_download_is_resumed() {
    let world = World::empty();
    let request = publish(&world, "file");
    world.server.fault("file", 1, Fault::Stall(70_000));
    fetch(&world, &request).unwrap().unwrap();
    assert_eq!(world.server.seen(), [path("file", None), path("file", Some(70_000))]);
    assert_whole(&world, &request);
}

#[test]
fn a_server_that_cannot_resume_starts_again() {
    let world = World::empty();
    let request = publish(&world, "file");
    world.server.fault("file", 1, Fault::Truncate(80_000));
    world.server.fault("file", 1, Fault::WholeTruncated(SIZE));
    fetch(&world, &request).unwrap().unwrap();
    assert_whole(&world, &request);
}

#[test]
fn what_is_left_of_another_run_is_used_or_thrown_away() {
    let world = World::empty();
    let request = publish(&world, "file");
    let content = fs::read(world.folder.path().join("archive/file")).unwrap();
    let partial = world.cache().root().join("partial").join(request.sha256.unwrap().hex());
    fs::write(&partial, &content[..120_000]).unwrap();
    fetch(&world, &request).unwrap().unwrap();
    assert_eq!(world.server.seen(), [path("file", Some(120_000))]);
    assert_whole(&world, &request);

    world.cache().remove(&request.sha256.unwrap());
    fs::write(&partial, vec![0; 120_000]).unwrap();
    fetch(&world, &request).unwrap().unwrap();
    assert_eq!(world.server.seen(), [path("file", Some(120_000)), path("file", None)]);
    assert_whole(&world, &request);
}

#[test]
fn busy_servers_are_asked_again() {
    let world = World::empty();
    let request = publish(&world, "file");
    world.server.fault("file", 1, Fault::Status(429));
    world.server.fault("file", 1, Fault::Status(500));
    fetch(&world, &request).unwrap().unwrap();
    assert_eq!(world.server.seen().len(), 3);
    assert_whole(&world, &request);
}

#[test]
fn what_a_server_does_not_have_comes_from_the_next() {
    let world = World::empty();
    let mut request = publish(&world, "file");
    request.urls.insert(0, format!("{}/absent", world.server.url()));
    let fetched = fetch(&world, &request).unwrap().unwrap();
    assert_eq!(fetched.url, Some(request.urls[1].clone()));
    assert_eq!(
        world.server.seen(),
        [path("absent", None), path("file", None)],
        "404 is not asked twice"
    );
}

#[test]
fn redirects_are_followed() {
    let world = World::empty();
    let request = publish(&world, "file");
    let elsewhere = format!("{}/file", world.server.url());
    world.server.always("moved", Fault::Redirect(elsewhere));
    let mut moved = request.clone();
    moved.urls = vec![format!("{}/moved", world.server.url())];
    fetch(&world, &moved).unwrap().unwrap();
    assert_whole(&world, &request);
}

#[test]
fn nobody_has_it_is_not_wrong_bytes() {
    let world = World::empty();
    let mut request = publish(&world, "file");
    request.urls = vec![format!("{}/absent", world.server.url())];
    let failure = fetch(&world, &request).unwrap().unwrap_err();
    assert!(failure.gone);
    let text = failure.to_string();
    assert!(
        text.starts_with("file could not be fetched: http://127.0.0.1"),
        "{text}"
    );
    assert!(text.contains("404 Not Found"), "{text}");
    assert_eq!(pkgbuilder::failure::exit_code(&failure.into()), 1);
}

#[test]
fn a_mirror_that_is_down_fails_fast_for_all_files() {
    let world = World::empty();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let requests: Vec<Request> = (0..40_u8)
        .map(|number| Request {
            urls: vec![format!("http://127.0.0.1:{port}/{number}")],
            sha256: Some(Sha256::of(&[number])),
            size: Some(1),
            label: format!("file {number}"),
        })
        .collect();
    for outcome in world.fetcher.fetch_all(requests).unwrap() {
        let failure = outcome.unwrap_err();
        assert!(!failure.gone);
        assert!(
            failure.to_string().to_lowercase().contains("connection refused"),
            "{failure}"
        );
    }
}

#[test]
fn a_silent_mirror_is_given_up() {
    let world = World::empty();
    let request = publish(&world, "file");
    world.server.always("file", Fault::Silence);
    let failure = fetch(&world, &request).unwrap().unwrap_err();
    assert!(failure.to_string().contains("no answer for 0.3 s"), "{failure}");
    assert_eq!(world.server.seen().len(), 3, "one try and two retries");
}

#[test]
fn wrong_bytes_stop_everything_and_leave_nothing() {
    let world = World::empty();
    let good = publish(&world, "file");
    let mut bad = good.clone();
    bad.sha256 = Some(Sha256::of(b"something else"));
    // A second source is not asked: wrong bytes are not an outage.
    bad.urls.push(format!("{}/second", world.server.url()));
    let error = world.fetcher.fetch_all(vec![bad]).unwrap_err();
    assert_eq!(pkgbuilder::failure::exit_code(&error), 2);
    assert_eq!(world.server.seen(), [path("file", None)]);
    world.assert_cache_is_clean();
}

#[test]
fn a_mirror_on_disk() {
    let world = World::empty();
    let mut request = publish(&world, "file");
    let root = world.folder.path().join("archive");
    request.urls = vec![
        format!("file://{}/absent", root.display()),
        format!("file://{}/file", root.display()),
    ];
    fetch(&world, &request).unwrap().unwrap();
    assert_whole(&world, &request);
    assert_eq!(world.server.seen(), []);
}

#[test]
fn a_file_without_a_digest_is_fetched_each_time() {
    let world = World::empty();
    let mut request = publish(&world, "file");
    let expected = request.sha256.take();
    request.size = None;
    for _ in 0..2 {
        world.server.fault("file", 1, Fault::Truncate(1000));
        let fetched = fetch(&world, &request).unwrap().unwrap();
        assert_eq!(Some(fetched.sha256), expected);
    }
    assert_eq!(world.server.seen().len(), 4);
    world.assert_cache_is_clean();
}

#[test]
fn two_fetchers_of_one_cache_fetch_once() {
    let world = World::empty();
    let requests: Vec<Request> = ["a", "b", "c"].iter().map(|name| publish(&world, name)).collect();
    // The same content under three names: all want the same object.
    world.server.fault("", 1, Fault::Stall(90_000));
    let other = Fetcher::with_limits(world.cache().clone(), Reporter::new(true), limits()).unwrap();
    std::thread::scope(|scope| {
        for fetcher in [&world.fetcher, &other] {
            let requests = requests.clone();
            scope.spawn(move || {
                for outcome in fetcher.fetch_all(requests).unwrap() {
                    outcome.unwrap();
                }
            });
        }
    });
    let seen = world.server.seen();
    assert_eq!(seen.len(), 2, "one stalled connection and its resumption: {seen:?}");
    assert_eq!(seen[1].from, Some(90_000));
    assert_eq!(world.cached("partial"), Vec::<PathBuf>::new());
    assert_whole(&world, &requests[0]);
}
