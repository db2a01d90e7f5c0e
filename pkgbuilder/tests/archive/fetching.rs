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
        if_range: false,
    }
}

/// A resumption of the same version of the file only.
fn resumed(name: &str, from: usize) -> Seen {
    Seen {
        if_range: true,
        ..path(name, Some(from))
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
    assert_eq!(world.server.seen(), [path("file", None), resumed("file", 70_000)]);
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

/// What a fetch is refused with; the cache stays clean, and the honest server is believed at once.
#[track_caller]
fn refused(world: &World, request: &Request) -> String {
    let failure = fetch(world, request).unwrap().unwrap_err();
    assert!(!failure.gone, "{failure}");
    world.assert_cache_is_clean();
    world.server.heal();
    let seen = world.server.seen();
    fetch(world, request).unwrap().unwrap();
    assert_whole(world, request);
    assert_eq!(world.cached("partial"), Vec::<PathBuf>::new());
    world.server.seen();
    format!("{failure} ({} requests)", seen.len())
}

#[test]
fn a_file_that_changes_between_two_tries_is_fetched_whole() {
    let world = World::empty();
    let request = publish(&world, "file");
    // Cut in the other version: the server answers with all of the right one, and nothing is mixed.
    let root = world.folder.path().join("archive/file");
    let right = fs::read(&root).unwrap();
    fs::write(&root, vec![7; SIZE]).unwrap();
    world.server.fault("file", 1, Fault::Stall(90_000));
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| fetch(&world, &request));
        while world
            .cached("partial")
            .iter()
            .all(|path| fs::metadata(path).unwrap().len() < 90_000)
        {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        fs::write(&root, &right).unwrap();
        fetching.join().unwrap().unwrap().unwrap();
    });
    assert_eq!(world.server.seen(), [path("file", None), resumed("file", 90_000)]);
    assert_whole(&world, &request);
}

#[test]
fn wrong_ranges_are_noticed_and_the_file_fetched_whole() {
    for said in [
        "bytes 0-299999/300000",
        "bytes 80001-299999/300000",
        "bytes 80000-299998/300000",
        "bytes 80000-299999/999",
        "bytes */300000",
        "nonsense",
    ] {
        let world = World::empty();
        let request = publish(&world, "file");
        world.server.fault("file", 1, Fault::Truncate(80_000));
        world
            .server
            .fault("file", 1, Fault::WrongRange(said.to_owned(), 80_000));
        fetch(&world, &request).unwrap().unwrap();
        let seen = world.server.seen();
        assert_eq!(
            seen,
            [path("file", None), resumed("file", 80_000), path("file", None)],
            "{said}"
        );
        assert_whole(&world, &request);
    }
}

#[test]
fn a_range_with_wrong_bytes_costs_one_more_try() {
    let world = World::empty();
    let request = publish(&world, "file");
    let content = fs::read(world.folder.path().join("archive/file")).unwrap();
    let partial = world.cache().root().join("partial").join(request.sha256.unwrap().hex());
    fs::write(&partial, &content[..80_000]).unwrap();
    // Only the digest can tell.
    world.server.fault("file", 1, Fault::Corrupt(200_000));
    fetch(&world, &request).unwrap().unwrap();
    assert_eq!(world.server.seen(), [path("file", Some(80_000)), path("file", None)]);
    assert_whole(&world, &request);
}

#[test]
fn what_is_whole_already_is_not_fetched_again() {
    let world = World::empty();
    let mut request = publish(&world, "file");
    // As for release archives: the size is not known beforehand.
    request.size = None;
    let content = fs::read(world.folder.path().join("archive/file")).unwrap();
    let partial = world.cache().root().join("partial").join(request.sha256.unwrap().hex());
    fs::write(&partial, &content).unwrap();
    fetch(&world, &request).unwrap().unwrap();
    assert_eq!(world.server.seen(), [path("file", Some(SIZE))]);
    assert_whole(&world, &request);
}

#[test]
fn a_cut_is_noticed_without_a_known_size() {
    let world = World::empty();
    let mut request = publish(&world, "file");
    request.size = None;
    world.server.fault("file", 2, Fault::Truncate(100_000));
    fetch(&world, &request).unwrap().unwrap();
    assert_eq!(
        world.server.seen(),
        [path("file", None), resumed("file", 100_000), resumed("file", 200_000)]
    );
    assert_whole(&world, &request);
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    let world = World::empty();
    let request = publish(&world, "file");
    world.server.fault("file", 1, Fault::RetryAfter(429, "1".to_owned()));
    let begun = std::time::Instant::now();
    fetch(&world, &request).unwrap().unwrap();
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
    assert_eq!(world.server.seen().len(), 2);
}

#[test]
fn a_server_that_asks_to_wait_for_long_is_left() {
    let world = World::empty();
    let request = publish(&world, "file");
    for status in [429, 503] {
        world.cache().remove(&request.sha256.unwrap());
        world
            .server
            .always("file", Fault::RetryAfter(status, "3600".to_owned()));
        let said = refused(&world, &request);
        assert!(said.contains("not to be asked again for 3600 s"), "{said}");
        assert!(said.ends_with("(1 requests)"), "{said}");
    }
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let world = World::empty();
    let request = publish(&world, "file");
    world.server.always("file", Fault::Status(500));
    let said = refused(&world, &request);
    assert!(
        said.contains("500 Internal Server Error") && said.ends_with("(3 requests)"),
        "{said}"
    );
}

#[test]
fn a_trickle_is_given_up_as_a_stall() {
    let world = World::empty();
    let request = publish(&world, "file");
    // A byte every 100 ms never stalls for 300 ms.
    world
        .server
        .always("file", Fault::Trickle(std::time::Duration::from_millis(100)));
    let said = refused(&world, &request);
    assert!(
        said.contains("too slow after") && said.ends_with("(3 requests)"),
        "{said}"
    );
}

#[test]
fn redirects_in_a_circle_are_not_tried_again() {
    let world = World::empty();
    let request = publish(&world, "file");
    let here = world.server.url();
    world.server.always("file", Fault::Redirect(format!("{here}/{{path}}")));
    let said = refused(&world, &request);
    assert!(
        said.contains("it redirects in a circle, back to http://127.0.0.1"),
        "{said}"
    );
    assert!(said.ends_with("(1 requests)"), "{said}");
}

#[test]
fn redirects_without_end_are_not_followed() {
    let world = World::empty();
    let request = publish(&world, "file");
    let here = world.server.url();
    world
        .server
        .always("file", Fault::Redirect(format!("{here}/{{path}}/further")));
    let said = refused(&world, &request);
    assert!(said.contains("it redirects more than 8 times"), "{said}");
}

#[test]
fn a_page_in_place_of_the_file_is_named() {
    let world = World::empty();
    let request = publish(&world, "file");
    world
        .server
        .fault("file", 1, Fault::Page("<html>log in</html>".to_owned()));
    let error = fetch(&world, &request).unwrap_err();
    assert_eq!(pkgbuilder::failure::exit_code(&error), 2);
    let text = error.to_string();
    assert!(text.contains("is there a login page or proxy in the way?"), "{text}");
    world.assert_cache_is_clean();
    fetch(&world, &request).unwrap().unwrap();
}
