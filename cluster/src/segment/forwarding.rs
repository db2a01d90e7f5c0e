//! Which ports a frame leaves by: a learning switch (IEEE 802.1D, 7.8) with one port that is different, the host's.

use std::collections::HashMap;

use super::frame::{self, BROADCAST};
use super::{Mac, Segment};

/// Addresses that are remembered; a guest that makes up more of them is not followed.
const MOST: usize = 4096;

/// What the switch knows.
#[derive(Debug)]
pub(super) struct Table {
    learned: HashMap<Mac, usize>,
    /// The host's port, behind those of the nodes.
    host: usize,
}

impl Table {
    pub(super) fn new(segment: &Segment) -> Self {
        let macs = segment.members.iter().map(|member| member.mac);
        Self {
            learned: macs.zip(0..).collect(),
            host: segment.members.len(),
        }
    }

    /// The ports for a frame that came in by `from`.
    ///
    /// slirp, behind the host's port, answers for every address it is asked for: it gets what is for it and what is for
    /// everybody, never what nobody is known for, nor multicast, with which it can do nothing.
    pub(super) fn ports(&mut self, from: usize, to: Mac, source: Mac) -> Vec<usize> {
        if !frame::is_group(source) && (self.learned.len() < MOST || self.learned.contains_key(&source)) {
            self.learned.insert(source, from);
        }
        let others = |ports: std::ops::RangeInclusive<usize>| ports.filter(|port| *port != from).collect();
        match self.learned.get(&to) {
            _ if to == BROADCAST => others(0..=self.host),
            Some(port) if *port == from => Vec::new(),
            Some(port) => vec![*port],
            None => {
                let mut nodes: Vec<usize> = others(0..=self.host);
                nodes.retain(|port| *port != self.host);
                nodes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::Member;
    use super::*;

    const fn mac(last: u8) -> Mac {
        [0x52, 0x54, 0, 0x77, 0, last]
    }

    #[test]
    fn frames_go_where_they_belong() {
        let member = |last| Member {
            name: format!("n{last}"),
            mac: mac(last),
            address: Ipv4Addr::new(10, 77, 0, last),
        };
        let mut table = Table::new(&Segment {
            router: Ipv4Addr::new(10, 77, 0, 1),
            host: Ipv4Addr::new(10, 77, 0, 2),
            resolver: None,
            members: vec![member(11), member(12), member(13)],
        });
        // Known from the plan.
        assert_eq!(table.ports(0, mac(12), mac(11)), [1]);
        assert_eq!(table.ports(0, BROADCAST, mac(11)), [1, 2, 3]);
        assert_eq!(table.ports(3, BROADCAST, mac(2)), [0, 1, 2]);
        // Multicast and what nobody is known for stay with the nodes.
        assert_eq!(table.ports(0, [0x33, 0x33, 0, 0, 0, 1], mac(11)), [1, 2]);
        assert_eq!(table.ports(0, mac(99), mac(11)), [1, 2]);
        // Learned: the host's from its frame above, another behind a node, and one that moves.
        assert_eq!(table.ports(1, mac(2), mac(12)), [3]);
        assert_eq!(table.ports(2, mac(11), mac(50)), [0]);
        assert_eq!(table.ports(0, mac(50), mac(11)), [2]);
        assert_eq!(table.ports(1, mac(11), mac(50)), [0]);
        assert_eq!(table.ports(0, mac(50), mac(11)), [1]);
        // Nobody gets his own back.
        assert!(table.ports(0, mac(11), mac(11)).is_empty());
    }

    #[test]
    fn a_guest_that_makes_up_addresses_is_not_followed_for_ever() {
        let mut table = Table::new(&Segment {
            router: Ipv4Addr::LOCALHOST,
            host: Ipv4Addr::new(10, 77, 0, 2),
            resolver: None,
            members: vec![],
        });
        for number in 0..10_000_u32 {
            let [_, a, b, c] = number.to_be_bytes();
            table.ports(0, BROADCAST, [2, 0, 0, a, b, c]);
        }
        assert_eq!(table.learned.len(), MOST);
    }
}
