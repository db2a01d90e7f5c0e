//! An upstream on loopback that can lie: files of a folder over HTTP/1.1, with faults on request.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test helper: what fails here fails the test")]

/// A tiny Debian archive, signed with throw-away keys.
pub(crate) mod archive;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

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
    /// Redirected to this URL.
    Redirect(String),
}

/// A request that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Path on the server, with the slash before it.
    pub(crate) path: String,
    /// First byte asked for by `Range`.
    pub(crate) from: Option<usize>,
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

fn answer(shared: &Shared, mut connection: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let Some(path) = request.split(' ').nth(1).map(str::to_owned) else {
        return Ok(());
    };
    let mut from = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let fault = {
        let mut state = shared.state();
        state.seen.push(Seen {
            path: path.clone(),
            from,
        });
        let planned = state
            .faults
            .iter_mut()
            .find(|planned| planned.left > 0 && path.contains(&planned.part));
        planned.map(|planned| {
            planned.left -= 1;
            planned.fault.clone()
        })
    };
    match &fault {
        Some(Fault::Silence) => {
            shared.wait_until_over();
            return Ok(());
        }
        Some(Fault::Status(status)) => return head(connection, &format!("{status} Fault"), "", 0),
        Some(Fault::Redirect(url)) => return head(connection, "302 Found", &format!("Location: {url}\r\n"), 0),
        _ => {}
    }
    let mut content = match (&fault, std::fs::read(shared.root.join(path.trim_start_matches('/')))) {
        (Some(Fault::Replace(content)), _) => content.clone(),
        (_, Ok(content)) => content,
        (_, Err(_)) => return head(connection, "404 Not Found", "", 0),
    };
    if let Some(Fault::Corrupt(at)) = fault {
        content[at] ^= 0x55;
    }
    let ranged = !matches!(fault, Some(Fault::WholeTruncated(_)));
    let body = match from.filter(|_| ranged) {
        Some(from) if from >= content.len() => return head(connection, "416 Range Not Satisfiable", "", 0),
        Some(from) => {
            let last = content.len() - 1;
            let range = format!("Content-Range: bytes {from}-{last}/{}\r\n", content.len());
            head(connection, "206 Partial Content", &range, content.len() - from)?;
            &content[from..]
        }
        None => {
            head(connection, "200 OK", "", content.len())?;
            &content[..]
        }
    };
    match fault {
        Some(Fault::Truncate(after) | Fault::WholeTruncated(after)) => {
            connection.write_all(&body[..after.min(body.len())])?;
            connection.shutdown(Shutdown::Both)
        }
        Some(Fault::Stall(after)) => {
            connection.write_all(&body[..after.min(body.len())])?;
            shared.wait_until_over();
            Ok(())
        }
        _ => connection.write_all(body),
    }
}

fn head(mut connection: &TcpStream, status: &str, fields: &str, length: usize) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes())
}
