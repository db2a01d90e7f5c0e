//! An upstream on loopback that can lie: files of a folder over HTTP/1.1, with faults on request.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test helper: what fails here fails the test")]

/// A forward proxy.
pub(crate) mod proxy;

/// An https host.
pub(crate) mod tls;

/// Keys of publishers.
pub(crate) mod gpg;

/// Release hosts.
pub(crate) mod releases;

/// A tiny Debian archive, signed with throw-away keys.
pub(crate) mod archive;

/// Somebody's own repository.
pub(crate) mod vendor;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// What goes wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status and no content.
    Status(u16),
    /// The connection is closed after so many bytes of the body.
    Truncate(usize),
    /// The connection stays open, but nothing comes after so many bytes of the body.
    Stall(usize),
    /// Nothing is answered at all, the connection stays open.
    Silence,
    /// This byte of the file has another value.
    Corrupt(usize),
    /// Other content under the same name.
    Replace(Vec<u8>),
    /// `Range` is ignored: the whole file comes, cut after so many bytes.
    WholeTruncated(usize),
    /// Redirected to this URL; a `{path}` in it becomes the path that was asked for.
    Redirect(String),
    /// This status, with `Retry-After`.
    RetryAfter(u16, String),
    /// An HTML page in place of the file.
    Page(String),
    /// The body comes a byte at a time, with this pause behind each.
    Trickle(Duration),
    /// What was asked for by `Range` is answered as a range, but this one is said and given.
    WrongRange(String, usize),
}

/// A request that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Path on the server, with the slash before it.
    pub(crate) path: String,
    /// First byte asked for by `Range`.
    pub(crate) from: Option<usize>,
    /// Whether that was only to be answered for the same version of the file (`If-Range`).
    pub(crate) if_range: bool,
}

#[derive(Debug)]
struct Planned {
    part: String,
    fault: Fault,
    left: usize,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Planned>,
    seen: Vec<Seen>,
    over: bool,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn wait_until_over(&self) {
        let mut state = self.state();
        while !state.over {
            state = self.changed.wait(state).unwrap();
        }
    }
}

/// A running server; dropping it closes every connection.
#[derive(Debug)]
pub(crate) struct Server {
    shared: Arc<Shared>,
    address: String,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the files below `root` on a free port.
    pub(crate) fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = {
            let shared = shared.clone();
            std::thread::spawn(move || {
                for connection in listener.incoming() {
                    if shared.state().over {
                        return;
                    }
                    let shared = shared.clone();
                    std::thread::spawn(move || {
                        // A client that went away is no concern of the server.
                        let _ = answer(&shared, &connection.unwrap());
                    });
                }
            })
        };
        Self {
            shared,
            address,
            accepting: Some(accepting),
        }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` requests whose path contains `part` meet `fault`.
    pub(crate) fn fault(&self, part: &str, times: usize, fault: Fault) {
        self.shared.state().faults.push(Planned {
            part: part.to_owned(),
            fault,
            left: times,
        });
    }

    /// All requests whose path contains `part` meet `fault`.
    pub(crate) fn always(&self, part: &str, fault: Fault) {
        self.fault(part, usize::MAX, fault);
    }

    /// No more faults.
    pub(crate) fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// The requests seen so far, forgotten by asking.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.state().seen)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.changed.notify_all();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

/// What a client asks for.
#[derive(Debug, Default)]
struct Asked {
    path: String,
    from: Option<usize>,
    if_range: Option<String>,
}

/// Reads the head of a request; `None` where the connection was closed instead.
fn asked(connection: &TcpStream) -> std::io::Result<Option<Asked>> {
    let mut lines = BufReader::new(connection).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let Some(path) = request.split(' ').nth(1).map(str::to_owned) else {
        return Ok(None);
    };
    let mut asked = Asked {
        path,
        ..Asked::default()
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let first = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                asked.from = first.and_then(|first| first.parse().ok());
            }
            "if-range" => asked.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(Some(asked))
}

/// The fault that was planned for a path, counted down.
fn planned(shared: &Shared, asked: &Asked) -> Option<Fault> {
    let mut state = shared.state();
    state.seen.push(Seen {
        path: asked.path.clone(),
        from: asked.from,
        if_range: asked.if_range.is_some(),
    });
    let planned = state
        .faults
        .iter_mut()
        .find(|planned| planned.left > 0 && asked.path.contains(&planned.part))?;
    planned.left -= 1;
    Some(planned.fault.clone())
}

fn answer(shared: &Shared, mut connection: &TcpStream) -> std::io::Result<()> {
    let Some(asked) = asked(connection)? else { return Ok(()) };
    let fault = planned(shared, &asked);
    match &fault {
        Some(Fault::Silence) => {
            shared.wait_until_over();
            return Ok(());
        }
        Some(Fault::Status(status)) => return head(connection, &format!("{status} Fault"), "", 0),
        Some(Fault::RetryAfter(status, when)) => {
            return head(
                connection,
                &format!("{status} Fault"),
                &format!("Retry-After: {when}\r\n"),
                0,
            );
        }
        Some(Fault::Page(page)) => {
            head(
                connection,
                "200 OK",
                "Content-Type: text/html; charset=utf-8\r\n",
                page.len(),
            )?;
            return connection.write_all(page.as_bytes());
        }
        Some(Fault::Redirect(url)) => {
            let url = url.replace("{path}", asked.path.trim_start_matches('/'));
            return head(connection, "302 Found", &format!("Location: {url}\r\n"), 0);
        }
        _ => {}
    }
    let path = asked.path.split('?').next().unwrap_or_default();
    let mut content = match (&fault, std::fs::read(shared.root.join(path.trim_start_matches('/')))) {
        (Some(Fault::Replace(content)), _) => content.clone(),
        (_, Ok(content)) => content,
        (_, Err(_)) => return head(connection, "404 Not Found", "", 0),
    };
    if let Some(Fault::Corrupt(at)) = fault {
        content[at] ^= 0x55;
    }
    let tag = format!("\"{}\"", &hex::encode(Sha256::digest(&content))[..16]);
    let same = asked.if_range.as_ref().is_none_or(|wanted| *wanted == tag);
    let ranged = same && !matches!(fault, Some(Fault::WholeTruncated(_)));
    let body = match (&fault, asked.from.filter(|_| ranged)) {
        (Some(Fault::WrongRange(said, first)), Some(_)) => {
            let fields = format!("Content-Range: {said}\r\n");
            head(connection, "206 Partial Content", &fields, content.len() - first)?;
            &content[*first..]
        }
        (_, Some(from)) if from >= content.len() => {
            let fields = format!("Content-Range: bytes */{}\r\n", content.len());
            return head(connection, "416 Range Not Satisfiable", &fields, 0);
        }
        (_, Some(from)) => {
            let last = content.len() - 1;
            let fields = format!(
                "Content-Range: bytes {from}-{last}/{}\r\nETag: {tag}\r\n",
                content.len()
            );
            head(connection, "206 Partial Content", &fields, content.len() - from)?;
            &content[from..]
        }
        (_, None) => {
            head(connection, "200 OK", &format!("ETag: {tag}\r\n"), content.len())?;
            &content[..]
        }
    };
    send(shared, connection, body, fault.as_ref())
}

/// Sends a body the way the fault wants it.
fn send(shared: &Shared, mut connection: &TcpStream, body: &[u8], fault: Option<&Fault>) -> std::io::Result<()> {
    match fault {
        Some(Fault::Truncate(after) | Fault::WholeTruncated(after)) => {
            connection.write_all(&body[..(*after).min(body.len())])?;
            connection.shutdown(Shutdown::Both)
        }
        Some(Fault::Stall(after)) => {
            connection.write_all(&body[..(*after).min(body.len())])?;
            shared.wait_until_over();
            Ok(())
        }
        Some(Fault::Trickle(pause)) => {
            for byte in body {
                connection.write_all(&[*byte])?;
                std::thread::sleep(*pause);
                if shared.state().over {
                    break;
                }
            }
            Ok(())
        }
        _ => connection.write_all(body),
    }
}

fn head(mut connection: &TcpStream, status: &str, fields: &str, length: usize) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes())
}
