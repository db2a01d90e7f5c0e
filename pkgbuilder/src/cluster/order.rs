//! Which nodes are powered on, and when.

use std::collections::BTreeSet;

use computatom_cluster::machine::Accelerator;
use computatom_cluster::plan::Node;
use computatom_cluster::survey::{Power, Report};
use computatom_spec::role::Role;

/// The order in which nodes are powered on.
#[derive(Debug)]
pub(super) struct Order<'a> {
    nodes: &'a [Node],
    /// So many processors' worth of nodes boot at once.
    processors: u64,
    /// The servers that all others wait for.
    first: BTreeSet<&'a str>,
}

impl<'a> Order<'a> {
    /// All of them now.
    pub(super) const fn at_once(nodes: &'a [Node]) -> Self {
        Self {
            nodes,
            processors: u64::MAX,
            first: BTreeSet::new(),
        }
    }

    /// So that all are ready soonest, of which some are `started` already.
    ///
    /// Emulation takes a processor of the host for each of a node's: where more boot than there are, all get slow, and what waits for
    /// an answer in them gives up and tries again, which makes it worse. Nobody is ready without a leader, which takes a majority of
    /// the servers: what boots beside them keeps all waiting.
    pub(super) fn of_boots(nodes: &'a [Node], accelerator: Accelerator, started: &BTreeSet<String>) -> Self {
        match accelerator {
            Accelerator::Kvm => Self::at_once(nodes),
            Accelerator::Tcg => Self {
                nodes,
                processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
                first: (nodes.iter())
                    .filter(|node| node.roles.contains(&Role::Server) && !started.contains(&node.name))
                    .map(|node| node.name.as_str())
                    .collect(),
            },
        }
    }

    /// Those to power on now, by what is `started` and how the nodes were seen to be: servers first, else as in the topology. One
    /// boots in any case.
    pub(super) fn now(&self, started: &BTreeSet<String>, reports: &[Report]) -> Vec<&'a Node> {
        let seen =
            |name: &str, how: fn(&Report) -> bool| reports.iter().any(|report| report.name == name && how(report));
        let has_booted = |report: &Report| report.answers() || report.power == Power::Paused;
        // One that stands still is somebody's doing. And what has begun goes on, though a server may lose its leader meanwhile.
        let done = |report: &Report| report.ready || report.power == Power::Paused;
        let follows = |node: &Node| started.contains(&node.name) && !self.first.contains(node.name.as_str());
        let may_follow = self.first.iter().all(|name| seen(name, done)) || self.nodes.iter().any(follows);
        let mut booting: u64 = (self.nodes.iter())
            .filter(|node| started.contains(&node.name) && !seen(&node.name, has_booted))
            .map(|node| u64::from(node.cpus))
            .sum();
        let (first, others): (Vec<&Node>, Vec<&Node>) =
            (self.nodes.iter()).partition(|node| self.first.contains(node.name.as_str()));
        let others = others.into_iter().filter(|_| may_follow);
        (first.into_iter().chain(others))
            .filter(|node| !started.contains(&node.name))
            .take_while(|node| {
                let fits = booting == 0 || booting + u64::from(node.cpus) <= self.processors;
                booting += u64::from(node.cpus);
                fits
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use computatom_cluster::plan::Plan;
    use computatom_cluster::topology::Topology;
    use serde_json::json;

    use super::*;

    fn nodes() -> Vec<Node> {
        let topology: Topology = serde_json::from_value(json!({"nodes": [
            {"name": "worker-1", "roles": ["client"]},
            {"name": "core-1", "roles": ["server"]},
            {"name": "core-2", "roles": ["server", "client"], "cpus": 3},
            {"name": "core-3", "roles": ["server"]},
            {"name": "watch-1", "roles": ["monitor"]},
        ]}))
        .unwrap();
        Plan::new("test", &topology).unwrap().nodes
    }

    fn report(node: &Node, power: Power, answers: bool, ready: bool) -> Report {
        Report {
            name: node.name.clone(),
            power,
            roles: node.roles.clone(),
            reason: answers.then(|| "a test".to_owned()),
            datacenter: node.datacenter.clone(),
            address: Ipv4Addr::LOCALHOST,
            page: String::new(),
            consul: None,
            nomad: None,
            ready,
            waits_for: Vec::new(),
            log: std::path::PathBuf::new(),
        }
    }

    fn names(nodes: &[&Node]) -> Vec<String> {
        nodes.iter().map(|node| node.name.clone()).collect()
    }

    #[test]
    fn servers_boot_first_and_the_others_when_these_are_ready() {
        let nodes = nodes();
        let mut started = BTreeSet::new();
        let order = Order {
            processors: 1,
            ..Order::of_boots(&nodes, Accelerator::Tcg, &started)
        };
        let [worker, one, two, three, _] = nodes.as_slice() else {
            panic!("five nodes");
        };
        let mut on = |order: &Order<'_>, reports: &[Report]| {
            let now = names(&order.now(&started, reports));
            started.extend(now.clone());
            now
        };
        // The second has more processors than there are: it boots alone, and in any case.
        assert_eq!(on(&order, &[]), ["core-1"]);
        assert!(on(&order, &[report(one, Power::On, false, false)]).is_empty());
        let answers = |node: &Node| report(node, Power::On, true, false);
        assert_eq!(on(&order, &[answers(one)]), ["core-2"]);
        // What stands still boots no further, and keeps nobody from booting.
        let paused = report(two, Power::Paused, false, false);
        assert_eq!(on(&order, &[answers(one), paused]), ["core-3"]);
        assert!(on(&order, &[answers(one), answers(two), answers(three)]).is_empty());
        let ready = |node: &Node| report(node, Power::On, true, true);
        assert!(on(&order, &[ready(one), ready(two), answers(three)]).is_empty());
        let paused = report(two, Power::Paused, false, false);
        assert_eq!(on(&order, &[ready(one), paused, ready(three)]), ["worker-1"]);
        // What has begun goes on, though they may lose their leader meanwhile.
        let lost = [answers(one), answers(two), answers(three), answers(worker)];
        assert_eq!(on(&order, &lost), ["watch-1"]);
        assert!(on(&order, &lost).is_empty());
    }

    #[test]
    fn nobody_waits_for_servers_that_were_on_before() {
        let nodes = nodes();
        let mut started = BTreeSet::from(["core-1", "core-2", "core-3", "worker-1"].map(str::to_owned));
        let order = Order::of_boots(&nodes, Accelerator::Tcg, &started);
        let on: Vec<Report> = (nodes.iter())
            .map(|node| report(node, Power::On, true, false))
            .collect();
        assert_eq!(names(&order.now(&started, &on)), ["watch-1"]);
        started.clear();
        assert_eq!(Order::at_once(&nodes).now(&started, &[]).len(), nodes.len());
        let kvm = Order::of_boots(&nodes, Accelerator::Kvm, &started);
        assert_eq!(kvm.now(&started, &[]).len(), nodes.len());
    }
}
