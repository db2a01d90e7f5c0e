//! Throw-away keys of publishers, made and used by the real GnuPG at any time in the past.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A GnuPG home of its own; dropping it ends its agent.
#[derive(Debug)]
pub(crate) struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    /// An empty one.
    pub(crate) fn new() -> Self {
        // The agent's socket lies in it, and the path of a socket is short.
        let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
        Self { home }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--homedir").arg(self.home.path());
        command
    }

    /// Runs gpg at a time (`20240601`), with standard input; gives its standard output.
    fn run(&self, at: &str, input: &[u8], arguments: &[&str]) -> Vec<u8> {
        let mut command = self.command("gpg");
        command
            .args([
                "--no-tty",
                "--quiet",
                "--yes",
                "--passphrase",
                "",
                "--pinentry-mode",
                "loopback",
            ])
            .arg("--faked-system-time")
            .arg(format!("{at}T000000!"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {said}");
        output.stdout
    }

    /// A key that certifies and signs, made at a time, without an end; gives its fingerprint.
    pub(crate) fn key(&self, name: &str, at: &str) -> String {
        let user = format!("{name} <{name}@example.invalid>");
        self.run(
            at,
            b"",
            &["--batch", "--quick-gen-key", &user, "ed25519", "cert,sign", "never"],
        );
        self.fingerprints(&user).remove(0)
    }

    /// A signing subkey of `key`, made at a time, that expires after some time (`1y`); gives its fingerprint.
    pub(crate) fn subkey(&self, key: &str, at: &str, expires: &str) -> String {
        self.run(
            at,
            b"",
            &["--batch", "--quick-add-key", key, "ed25519", "sign", expires],
        );
        self.fingerprints(key).pop().unwrap()
    }

    /// Fingerprints of a key and its subkeys.
    fn fingerprints(&self, key: &str) -> Vec<String> {
        let listed = self.run("20300101", b"", &["--batch", "--list-keys", "--with-colons", key]);
        String::from_utf8(listed)
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("fpr:"))
            .map(|line| line.split(':').nth(9).unwrap().to_owned())
            .collect()
    }

    /// Says at a time that `key` expires at another (`2024-03-01`).
    pub(crate) fn expire(&self, key: &str, at: &str, end: &str) {
        self.run(at, b"", &["--batch", "--quick-set-expire", key, end]);
    }

    /// Says at a time that `subkey` of `key` expires at another.
    pub(crate) fn expire_subkey(&self, key: &str, subkey: &str, at: &str, end: &str) {
        self.run(at, b"", &["--batch", "--quick-set-expire", key, end, subkey]);
    }

    /// Revokes `key` at a time, for the reason with a number in gpg's menu: 0 none, 2 superseded.
    pub(crate) fn revoke(&self, key: &str, at: &str, reason: u8) {
        let answers = format!("y\n{reason}\n\ny\n");
        let certificate = self.run(at, answers.as_bytes(), &["--command-fd", "0", "--gen-revoke", key]);
        self.run(at, &certificate, &["--batch", "--import"]);
    }

    /// A detached signature of `data` by exactly `key`, made at a time.
    pub(crate) fn sign(&self, key: &str, at: &str, data: &[u8]) -> Vec<u8> {
        self.sign_with(key, at, data, &[])
    }

    /// As [`Gpg::sign`], with further arguments.
    pub(crate) fn sign_with(&self, key: &str, at: &str, data: &[u8], arguments: &[&str]) -> Vec<u8> {
        let user = format!("{key}!");
        let arguments = [arguments, &["--batch", "--local-user", &user, "--detach-sign"]].concat();
        self.run(at, data, &arguments)
    }

    /// The public half, armored.
    pub(crate) fn public(&self, key: &str) -> Vec<u8> {
        self.run("20300101", b"", &["--batch", "--armor", "--export", key])
    }

    /// What gpgv says of a signature with one key; `None` where it refuses it.
    pub(crate) fn judge(&self, key: &str, data: &[u8], signature: &[u8]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let binary = self.run("20300101", b"", &["--batch", "--export", key]);
        for (name, content) in [("key", &binary[..]), ("data", data), ("signature", signature)] {
            fs::write(path(name), content).unwrap();
        }
        let output = self
            .command("gpgv")
            .args(["--status-fd", "1", "--keyring"])
            .args([path("key"), path("signature"), path("data")])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let verdict = ["GOODSIG", "EXPKEYSIG", "REVKEYSIG", "EXPSIG"]
            .iter()
            .find(|word| said.contains(&format!("[GNUPG:] {word} ")));
        output
            .status
            .success()
            .then(|| (*verdict.unwrap_or(&"GOOD?")).to_owned())
    }

    /// Writes the public half of `key` where a checkout has the keys of publishers.
    pub(crate) fn trust(&self, key: &str, checkout: &Path) {
        let keys = checkout.join("jsonnet/keys");
        fs::create_dir_all(&keys).unwrap();
        fs::write(keys.join(format!("{key}.asc")), self.public(key)).unwrap();
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = self.command("gpgconf").args(["--kill", "gpg-agent"]).output();
    }
}
