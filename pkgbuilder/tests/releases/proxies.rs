use std::process::Command;

use crate::server::proxy::Proxy;
use crate::server::tls::Tls;
use crate::{Release, assert_says};

const HOST: &str = "releases.hashicorp.com";
const ARCHIVE: &str = "hello/1.2.0/hello_1.2.0_linux_arm64.zip";

/// `packages` that reaches release hosts by their own names.
fn command(release: &Release) -> Command {
    let mut command = release.packages(&[]);
    command.env_remove("COMPUTATOM_RELEASE_MIRROR");
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "REQUEST_METHOD",
        "SSL_CERT_DIR",
    ] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

/// The publisher's own host, behind a proxy.
fn https(release: &Release) -> (Tls, Proxy, Command) {
    let tls = Tls::start(HOST);
    tls.answer_with(&release.world.served().join("hashicorp"));
    let proxy = Proxy::start(tls.address());
    let mut command = command(release);
    command
        .env("HTTPS_PROXY", proxy.url())
        .env("SSL_CERT_FILE", tls.authority());
    (tls, proxy, command)
}

#[test]
fn plain_http_through_a_proxy() {
    let release = Release::new();
    let upstream = release.world.server.url();
    let proxy = Proxy::start(upstream.trim_start_matches("http://"));
    let mut command = command(&release);
    // A name that only the proxy knows.
    command
        .args(["--release-host", &format!("{HOST}=http://mirror.invalid/hashicorp")])
        .env("HTTP_PROXY", proxy.url());
    release.world.succeeds(command);
    let seen = proxy.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[2], format!("GET http://mirror.invalid/hashicorp/{ARCHIVE}"));
}

#[test]
fn what_no_proxy_names_is_reached_directly() {
    let release = Release::new();
    let mut command = command(&release);
    let here = release.world.server.url();
    command
        .args(["--release-host", &format!("{HOST}={here}/hashicorp")])
        // Nobody listens there.
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("NO_PROXY", "localhost,127.0.0.0/8");
    release.world.succeeds(command);
    assert_eq!(release.seen().len(), 3);
}

#[test]
fn https_through_a_tunnel() {
    let release = Release::new();
    let (_tls, proxy, command) = https(&release);
    release.world.succeeds(command);
    let tunnel = format!("CONNECT {HOST}:443");
    assert_eq!(proxy.seen(), [tunnel.as_str(); 3], "each file by its own connection");
    assert_eq!(release.seen(), Vec::<String>::new());
}

#[test]
fn a_proxy_that_is_down() {
    let release = Release::new();
    let mut command = command(&release);
    command.env("HTTPS_PROXY", "http://127.0.0.1:9");
    let said = release.world.refuses(command, 1);
    assert_says(&said, &["hello 1.2.0 for arm64 cannot be had now"]);
    release.assert_succeeds();
}

#[test]
fn a_certificate_of_nobody_we_know() {
    let release = Release::new();
    let (_tls, _proxy, mut command) = https(&release);
    command.env_remove("SSL_CERT_FILE");
    let said = release.world.refuses(command, 1);
    assert_says(&said, &["hello 1.2.0 for arm64 cannot be had now", "certificate"]);
    release.assert_succeeds();
}

#[test]
fn never_from_https_to_plain_http() {
    let release = Release::new();
    let (tls, _proxy, command) = https(&release);
    let plain = format!("{}/hashicorp/{ARCHIVE}", release.world.server.url());
    tls.answer(ARCHIVE, &format!("302 Found\r\nLocation: {plain}"), b"");
    let said = release.world.refuses(command, 1);
    assert_says(&said, &["it redirects from https to plain http://127.0.0.1"]);
    assert_eq!(
        release.seen(),
        Vec::<String>::new(),
        "the right archive, from where anybody could have changed it"
    );
    release.assert_succeeds();
}
