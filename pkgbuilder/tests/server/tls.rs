//! A publisher's https host, by the real OpenSSL with a certificate authority of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running `openssl s_server`; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Tls {
    folder: tempfile::TempDir,
    server: Child,
    address: String,
}

impl Tls {
    /// Answers for the host `name`, whose answers are put there by [`Tls::answer`].
    pub(crate) fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let output = Command::new("openssl")
                .current_dir(&folder)
                .args(arguments.split(' '))
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test"
        ));
        openssl(&format!("req {key} -keyout host.key -out host.csr -subj /CN={name}"));
        fs::write(folder.path().join("san"), format!("subjectAltName=DNS:{name}\n")).unwrap();
        openssl("x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out host.pem -days 2 -extfile san");
        fs::create_dir(folder.path().join("www")).unwrap();
        let mut server = Command::new("openssl")
            .current_dir(folder.path().join("www"))
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-cert",
                "../host.pem",
                "-key",
                "../host.key",
                "-HTTP",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says `ACCEPT 127.0.0.1:PORT` when it listens.
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned))
            .unwrap();
        // It goes on talking; nobody has to listen, but somebody has to read.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            folder,
            server,
            address,
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The certificate authority, for `SSL_CERT_FILE`.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What is answered for a path (without the slash before it): the head's first lines, and a body.
    pub(crate) fn answer(&self, path: &str, head: &str, body: &[u8]) {
        let file = self.folder.path().join("www").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let head = format!(
            "HTTP/1.0 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        fs::write(file, [head.as_bytes(), body].concat()).unwrap();
    }

    /// Answers with every file below a folder.
    pub(crate) fn answer_with(&self, root: &Path) {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    self.answer(name, "200 OK", &fs::read(&path).unwrap());
                }
            }
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
