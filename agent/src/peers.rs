//! The addresses of the cluster's servers, for whoever wants to join them.
//!
//! Consul, Nomad and the agent never look up a name of one label: systemd-resolved refuses those. The sources are
//! asked in order, and all that answer count: a wrong address costs a try, a missing one the cluster.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use computatom_spec::role::Role;
use computatom_spec::site::Site;

use crate::identity::Identity;
use crate::render::consul;
use crate::role::Assignment;
use crate::status::api;

/// Whether this node has nobody to join: the only server that the site settings name.
pub fn alone(site: &Site, identity: &Identity, assignment: &Assignment) -> bool {
    site.server_addresses.is_empty()
        && assignment.has(Role::Server)
        && site.servers.len() == 1
        && site.founds(&identity.hostname)
}

/// How long the names of servers are looked up at most; a resolver without network takes half a minute for each.
const PATIENCE: Duration = Duration::from_secs(10);

/// The servers' addresses, without repetitions: of the site settings, of DNS under the search domains of the lease,
/// of multicast DNS, of Consul; and this node's own where it is a server itself.
pub fn find(site: &Site, identity: &Identity, assignment: &Assignment) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut add = |addresses: Vec<IpAddr>| {
        for address in addresses {
            if usable(address) && !found.contains(&address) {
                found.push(address);
            }
        }
    };
    if assignment.has(Role::Server) {
        add(identity.address().map(IpAddr::V4).into_iter().collect());
    }
    let mut questions = site.server_addresses.clone();
    questions.extend(names(site, identity));
    within(PATIENCE, questions, resolve, &mut add);
    add(known_to_consul());
    found
}

/// The names under which the other servers may be found.
pub fn names(site: &Site, identity: &Identity) -> Vec<String> {
    let mut names = Vec::new();
    for server in site
        .servers
        .iter()
        .filter(|server| !server.eq_ignore_ascii_case(&identity.hostname))
    {
        names.extend(identity.domains.iter().map(|domain| format!("{server}.{domain}")));
        names.push(format!("{server}.local"));
    }
    names
}

/// Asks `question` one thing after the other and hands on what it answers within `patience`. What takes longer is left
/// to itself: nothing can interrupt the C library's resolver.
fn within<T: Send + 'static>(
    patience: Duration,
    questions: Vec<String>,
    question: fn(&str) -> T,
    mut answer: impl FnMut(T),
) {
    let deadline = Instant::now() + patience;
    let (sender, receiver) = mpsc::channel();
    // Ends with the question at hand once nobody listens any more.
    std::thread::spawn(move || {
        questions.iter().try_for_each(|asked| sender.send(question(asked))).ok();
    });
    while let Ok(found) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        answer(found);
    }
}

/// An address, or the addresses of a name; none when nobody knows it.
fn resolve(name: &str) -> Vec<IpAddr> {
    match name.parse() {
        Ok(address) => vec![address],
        // The port is no part of the question.
        Err(_) => (name, 0)
            .to_socket_addrs()
            .map(|all| all.map(|socket| socket.ip()).collect())
            .unwrap_or_default(),
    }
}

/// Servers that the local Consul has heard of: peers of its raft, as `address:8300`.
fn known_to_consul() -> Vec<IpAddr> {
    let Ok(answer) = api::get(&format!("http://127.0.0.1:{}/v1/status/peers", consul::HTTP_PORT)) else {
        return Vec::new();
    };
    let peers: Vec<String> = serde_json::from_str(&answer).unwrap_or_default();
    peers
        .iter()
        .filter_map(|peer| peer.parse::<std::net::SocketAddr>().ok())
        .map(|socket| socket.ip())
        .collect()
}

/// Loopback (an entry of /etc/hosts for the own name) and the unspecified address lead nowhere.
fn usable(address: IpAddr) -> bool {
    !address.is_loopback() && !address.is_unspecified() && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_that_hangs_costs_the_patience_and_no_more() {
        let began = Instant::now();
        let mut answers = Vec::new();
        let slow = |name: &str| {
            if name == "slow" {
                std::thread::sleep(Duration::from_secs(20));
            }
            name.to_owned()
        };
        let names = ["quick", "slow", "never"].map(str::to_owned).to_vec();
        within(Duration::from_millis(300), names, slow, |name| answers.push(name));
        assert_eq!(answers, ["quick"]);
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn addresses_are_taken_as_they_are() {
        assert_eq!(resolve("192.168.1.20"), ["192.168.1.20".parse::<IpAddr>().unwrap()]);
        assert!(resolve("no such name").is_empty());
        assert!(!usable("127.0.1.1".parse().unwrap()));
    }
}
