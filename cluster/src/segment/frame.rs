//! Ethernet frames, as far as the segment looks into them: whom they are for, whether they ask for the router's address,
//! whether they are DHCP. Foreign bytes: whatever a guest sends.

use std::net::Ipv4Addr;

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
};

use super::Mac;

/// The address of everybody.
pub(super) const BROADCAST: Mac = [0xff; 6];
/// UDP ports of DHCP (RFC 2131, section 4.1).
pub(super) const DHCP_SERVER: u16 = 67;
pub(super) const DHCP_CLIENT: u16 = 68;
/// The only service by UDP that is asked from the host.
const CONSUL_DNS: u16 = crate::uplink::DNS;
/// Destination and source address and the type: the least that a frame has.
const HEADER: usize = 14;

/// Destination and source of a frame; none for a runt.
pub(super) fn addresses(frame: &[u8]) -> Option<(Mac, Mac)> {
    let (head, _) = frame.split_at_checked(HEADER)?;
    Some((head[..6].try_into().ok()?, head[6..12].try_into().ok()?))
}

/// Whether an address stands for several receivers (IEEE 802.3: the first bit on the wire).
pub(super) fn is_group(mac: Mac) -> bool {
    mac[0] & 1 == 1
}

/// What of a frame concerns the router itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Concern<'a> {
    /// A message to the DHCP server: what UDP carries.
    Dhcp(&'a [u8]),
    /// A DHCP server's answer, from whoever.
    DhcpAnswer,
    /// Somebody asks who has this address: who asks, from where.
    Arp {
        /// The address asked for.
        target: Ipv4Addr,
        /// The adapter of who asks.
        from: Mac,
        /// The address of who asks.
        source: Ipv4Addr,
    },
    /// Nothing.
    None,
}

/// Looks into a frame.
pub(super) fn concern(frame: &[u8]) -> Concern<'_> {
    // What is no packet of a known kind is not looked into; the others may still understand it.
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return Concern::None;
    };
    if let Some(NetSlice::Arp(arp)) = &packet.net {
        return arp_request(&arp.to_packet()).unwrap_or(Concern::None);
    }
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) if udp.destination_port() == DHCP_SERVER => Concern::Dhcp(udp.payload()),
        Some(TransportSlice::Udp(udp)) if udp.destination_port() == DHCP_CLIENT => Concern::DhcpAnswer,
        _ => Concern::None,
    }
}

/// Whether a node may send this frame to `host` although nothing leads out of the segment: it answers what the host
/// began. slirp takes its own address for the host's loopback, behind which nothing may be asked.
///
/// (Its `restrict=on` would forbid this too, and with it the answers of UDP: libslirp's `udp_input`.)
pub(super) fn is_answer(frame: &[u8], host: Ipv4Addr) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return false;
    };
    let to_host = match &packet.net {
        Some(NetSlice::Arp(_)) => return true,
        Some(NetSlice::Ipv4(ip)) => ip.header().destination_addr() == host,
        _ => false,
    };
    to_host
        && match &packet.transport {
            Some(TransportSlice::Tcp(tcp)) => !tcp.syn() || tcp.ack(),
            Some(TransportSlice::Udp(udp)) => udp.source_port() == CONSUL_DNS,
            Some(TransportSlice::Icmpv4(_)) => true,
            _ => false,
        }
}

fn arp_request(arp: &ArpPacket) -> Option<Concern<'static>> {
    if arp.operation != ArpOperation::REQUEST || arp.proto_addr_type != EtherType::IPV4 {
        return None;
    }
    let from: Mac = arp.sender_hw_addr().try_into().ok()?;
    let source: [u8; 4] = arp.sender_protocol_addr().try_into().ok()?;
    let target: [u8; 4] = arp.target_protocol_addr().try_into().ok()?;
    Some(Concern::Arp {
        target: target.into(),
        from,
        source: source.into(),
    })
}

/// The frame that says that `address` is at `mac`.
pub(super) fn arp_reply(mac: Mac, address: Ipv4Addr, to: Mac, to_address: Ipv4Addr) -> Vec<u8> {
    let arp = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REPLY,
        &mac,
        &address.octets(),
        &to,
        &to_address.octets(),
    )
    .expect("both kinds of address have one length each");
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(mac, to)
        .arp(arp)
        .write(&mut frame)
        .expect("a vector takes everything");
    frame
}

/// A UDP datagram of the DHCP server in a frame.
pub(super) fn dhcp_answer(from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr), message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, to.0)
        .ipv4(from.1.octets(), to.1.octets(), 64)
        .udp(DHCP_SERVER, DHCP_CLIENT)
        .write(&mut frame, message)
        .expect("a vector takes everything, and a message fits into a datagram");
    frame
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilderStep, TcpHeader, UdpHeader};
    use proptest::prelude::*;

    use super::*;

    const NODE: Mac = [0x52, 0x54, 0, 0x77, 0, 11];
    const ROUTER: Mac = [0x52, 0x54, 0, 0x77, 0, 1];

    #[test]
    fn a_question_for_an_address_is_seen_and_answered() {
        let asking = ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            ArpOperation::REQUEST,
            &NODE,
            &[10, 77, 0, 11],
            &[0; 6],
            &[10, 77, 0, 1],
        )
        .unwrap();
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(NODE, BROADCAST)
            .arp(asking)
            .write(&mut frame)
            .unwrap();
        assert_eq!(addresses(&frame), Some((BROADCAST, NODE)));
        assert_eq!(
            concern(&frame),
            Concern::Arp {
                target: Ipv4Addr::new(10, 77, 0, 1),
                from: NODE,
                source: Ipv4Addr::new(10, 77, 0, 11)
            }
        );
        let reply = arp_reply(ROUTER, Ipv4Addr::new(10, 77, 0, 1), NODE, Ipv4Addr::new(10, 77, 0, 11));
        assert_eq!(addresses(&reply), Some((NODE, ROUTER)));
        assert_eq!(concern(&reply), Concern::None);
    }

    #[test]
    fn dhcp_is_told_apart_from_the_rest() {
        let answer = dhcp_answer(
            (ROUTER, Ipv4Addr::new(10, 77, 0, 1)),
            (NODE, Ipv4Addr::BROADCAST),
            b"message",
        );
        assert_eq!(concern(&answer), Concern::DhcpAnswer);
        let mut question = Vec::new();
        PacketBuilder::ethernet2(NODE, BROADCAST)
            .ipv4([0; 4], [255; 4], 64)
            .udp(DHCP_CLIENT, DHCP_SERVER)
            .write(&mut question, b"message")
            .unwrap();
        assert_eq!(concern(&question), Concern::Dhcp(b"message"));
    }

    #[test]
    fn only_answers_leave_the_segment() {
        let host = Ipv4Addr::new(10, 77, 0, 2);
        let packet = |to: Ipv4Addr| PacketBuilder::ethernet2(NODE, ROUTER).ipv4([10, 77, 0, 11], to.octets(), 64);
        let write = |builder: PacketBuilderStep<UdpHeader>| {
            let mut frame = Vec::new();
            builder.write(&mut frame, b"x").unwrap();
            is_answer(&frame, host)
        };
        assert!(write(packet(host).udp(CONSUL_DNS, 40000)));
        assert!(!write(packet(host).udp(40000, 53)));
        assert!(!write(packet(Ipv4Addr::new(8, 8, 8, 8)).udp(CONSUL_DNS, 53)));
        let tcp = |builder: PacketBuilderStep<TcpHeader>| {
            let mut frame = Vec::new();
            builder.write(&mut frame, b"").unwrap();
            is_answer(&frame, host)
        };
        assert!(!tcp(packet(host).tcp(40000, 22, 1, 1000).syn()));
        assert!(tcp(packet(host).tcp(8500, 40000, 1, 1000).syn().ack(1)));
        assert!(tcp(packet(host).tcp(8500, 40000, 1, 1000).ack(1)));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_foreign(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = concern(&frame);
            let _ = is_answer(&frame, Ipv4Addr::LOCALHOST);
            prop_assert_eq!(addresses(&frame).is_some(), frame.len() >= 14);
        }

        #[test]
        fn nor_is_a_damaged_packet(at in 0_usize..60, byte: u8, short in 0_usize..60) {
            let mut frame = dhcp_answer((ROUTER, Ipv4Addr::LOCALHOST), (NODE, Ipv4Addr::BROADCAST), b"message");
            let at = at % frame.len();
            frame[at] = byte;
            frame.truncate(frame.len() - short.min(frame.len()));
            let _ = concern(&frame);
            let _ = is_answer(&frame, Ipv4Addr::LOCALHOST);
        }
    }
}
