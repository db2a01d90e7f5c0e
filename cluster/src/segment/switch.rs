//! The switch's process: a datagram socket for each port, a stream socket for who wants to tell it something.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::forwarding::Table;
use super::frame::{self, Concern};
use super::{Faults, Mac, Segment, dhcp};
use crate::folder::Folder;

/// Frames that wait for a node that does not keep up; a real switch drops too.
const BACKLOG: usize = 512;
/// The kernel queues ten datagrams for a socket (net.unix.max_dgram_qlen) and tells nobody when there is room again.
const RETRY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};
/// Frames taken from one port before the others have their turn.
const TURN: usize = 64;
/// The longest datagram.
const LONGEST: usize = 1 << 16;
/// Who asks for the DHCP server's address is told this: that of the plan's router, by QEMU's prefix.
const ROUTER: Mac = [0x52, 0x54, 0, 0x77, 0, 1];

/// Connects the cluster of `folder`, until it is told to stop. The current folder is that folder: the names of sockets
/// have a short limit (unix(7): 108 bytes).
///
/// # Errors
/// A socket cannot be made or read.
pub fn run(folder: &Folder) -> Result<()> {
    let plan = folder.state()?.plan;
    let segment = Segment::of(&plan);
    std::env::set_current_dir(folder.path()).with_context(|| format!("entering {}", folder.path().display()))?;
    let _ = std::fs::remove_file(Folder::SWITCH);
    let told = UnixListener::bind(Folder::SWITCH).context("listening for commands")?;
    told.set_nonblocking(true)?;
    let names = segment.members.iter().map(|member| member.name.clone());
    let ports = names
        .chain([Folder::HOST.to_owned()])
        .map(|name| Port::open(&name))
        .collect::<Result<Vec<_>>>()?;
    let mut switch = Switch {
        table: Table::new(&segment),
        faults: folder.faults()?,
        segment,
        ports,
    };
    let mut buffer = vec![0; LONGEST];
    loop {
        let (commanded, readable) = switch.wait(&told)?;
        if commanded
            && let Ok((stream, _)) = told.accept()
            && switch.obey(&stream, folder).is_break()
        {
            return Ok(());
        }
        for port in readable {
            for _ in 0..TURN {
                match switch.ports[port].socket.recv(&mut buffer) {
                    Ok(length) => switch.forward(port, &buffer[..length]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error).context("reading a frame"),
                }
            }
        }
        for port in &mut switch.ports {
            port.retry();
        }
    }
}

/// Tells the switch of a cluster something (`faults` changed, `stop`) and answers what it says.
///
/// # Errors
/// It does not run, or says that something is wrong.
pub fn tell(folder: &Folder, command: &str) -> Result<String> {
    let mut stream = folder.connect(Folder::SWITCH).context("the switch does not run")?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    writeln!(stream, "{command}")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let line = line.trim().to_owned();
    ensure!(line == "done", "the switch says `{line}`");
    Ok(line)
}

struct Switch {
    segment: Segment,
    table: Table,
    faults: Faults,
    ports: Vec<Port>,
}

impl Switch {
    /// Waits for frames and commands: whether there is one, and the ports that have something.
    fn wait(&self, told: &UnixListener) -> Result<(bool, Vec<usize>)> {
        let mut waiting = vec![PollFd::new(told, PollFlags::IN)];
        waiting.extend(self.ports.iter().map(|port| PollFd::new(&port.socket, PollFlags::IN)));
        let pending = self.ports.iter().any(|port| !port.backlog.is_empty());
        match poll(&mut waiting, pending.then_some(&RETRY)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("waiting for frames"),
        }
        let ready = |index: usize| waiting[index].revents().contains(PollFlags::IN);
        Ok((ready(0), (0..self.ports.len()).filter(|port| ready(port + 1)).collect()))
    }

    fn obey(&mut self, stream: &UnixStream, folder: &Folder) -> std::ops::ControlFlow<()> {
        let mut line = String::new();
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = BufReader::new(stream).read_line(&mut line);
        let answer = match line.trim() {
            "faults" => folder.faults().map(|faults| self.faults = faults),
            "stop" => Ok(()),
            other => Err(anyhow::anyhow!("there is no command `{other}`")),
        };
        let said = answer.map_or_else(|error| format!("{error:#}"), |()| "done".to_owned());
        let mut stream = stream;
        let _ = writeln!(stream, "{said}");
        if line.trim() == "stop" {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    }

    fn forward(&mut self, from: usize, frame: &[u8]) {
        let Some((to, source)) = frame::addresses(frame) else {
            return;
        };
        let host = self.segment.members.len();
        // A pulled cable lets nothing through, to the router neither.
        if from != host && self.faults.unplugged.contains(self.name(from)) {
            return;
        }
        match frame::concern(frame) {
            Concern::Dhcp(message) => {
                if let Some(answer) = dhcp::answer(&self.segment, message) {
                    let router = (ROUTER, self.segment.router);
                    let frame = frame::dhcp_answer(router, (answer.to, answer.address), &answer.message);
                    self.ports[from].send(frame);
                }
                return;
            }
            // slirp's own server knows no names.
            Concern::DhcpAnswer if from == host => return,
            Concern::Arp {
                target,
                from: asks,
                source,
            } if target == self.segment.router => {
                self.reply_arp(from, target, asks, source);
                return;
            }
            _ => {}
        }
        for port in self.table.ports(from, to, source) {
            if self.connects(from, port) && (port != host || self.may_leave(frame)) {
                self.ports[port].send(frame.to_vec());
            }
        }
    }

    fn reply_arp(&mut self, port: usize, address: Ipv4Addr, to: Mac, to_address: Ipv4Addr) {
        self.ports[port].send(frame::arp_reply(ROUTER, address, to, to_address));
    }

    /// Whether a frame may leave for the host.
    fn may_leave(&self, frame: &[u8]) -> bool {
        self.segment.resolver.is_some() || frame::is_answer(frame, self.segment.host)
    }

    /// The host sees every node whose cable is in: a partition is to be looked at from both sides.
    fn connects(&self, from: usize, to: usize) -> bool {
        let host = self.segment.members.len();
        if from == host {
            return !self.faults.unplugged.contains(self.name(to));
        }
        to == host || self.faults.connects(self.name(from), self.name(to))
    }

    fn name(&self, port: usize) -> &str {
        &self.segment.members[port].name
    }
}

/// A port: our socket, and the name of the one behind which somebody may be.
struct Port {
    socket: UnixDatagram,
    peer: PathBuf,
    backlog: VecDeque<Vec<u8>>,
}

impl Port {
    fn open(name: &str) -> Result<Self> {
        let (ours, theirs) = Folder::wire(name);
        let _ = std::fs::remove_file(&ours);
        let socket = UnixDatagram::bind(&ours).with_context(|| format!("making the socket {ours}"))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            peer: theirs.into(),
            backlog: VecDeque::new(),
        })
    }

    fn send(&mut self, frame: Vec<u8>) {
        if self.backlog.is_empty() && self.sent(&frame) {
            return;
        }
        if self.backlog.len() < BACKLOG {
            self.backlog.push_back(frame);
        }
    }

    fn retry(&mut self) {
        while let Some(frame) = self.backlog.pop_front() {
            if !self.sent(&frame) {
                self.backlog.push_front(frame);
                return;
            }
        }
    }

    /// Whether the frame is done with: taken, or for nobody, for the node is off.
    fn sent(&self, frame: &[u8]) -> bool {
        !matches!(self.socket.send_to(frame, &self.peer), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}
