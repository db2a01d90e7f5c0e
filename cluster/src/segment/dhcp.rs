//! The DHCP server: every adapter that the plan knows has its address and its name; others get no answer (RFC 2131).

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Encodable, Encoder, Message, MessageType, Opcode, OptionCode, borrowed};

use super::{Mac, Member, Segment};

/// Seconds that a lease lasts; the address is the node's anyway.
const LEASE: u32 = 3600;

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// To which adapter.
    pub(super) to: Mac,
    /// And address: everybody's for a client that has none yet (section 4.1).
    pub(super) address: Ipv4Addr,
    /// The message.
    pub(super) message: Vec<u8>,
}

/// What a client asks: the fields and options that matter here, which is not all that dhcproto would decode: it panics at
/// some that have a wrong length.
struct Asked<'a> {
    message: borrowed::Message<'a>,
    mac: Mac,
}

impl<'a> Asked<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let message = borrowed::Message::new(message).ok()?;
        if message.opcode() != Opcode::BootRequest || message.hlen() != 6 {
            return None;
        }
        let mac = message.chaddr().try_into().ok()?;
        Some(Self { message, mac })
    }

    fn option<const LENGTH: usize>(&self, code: OptionCode) -> Option<[u8; LENGTH]> {
        let option = self.message.opts().find(|option| option.code() == code)?;
        option.data().try_into().ok()
    }

    fn kind(&self) -> Option<MessageType> {
        self.option::<1>(OptionCode::MessageType).map(|[kind]| kind.into())
    }

    fn address(&self, code: OptionCode) -> Option<Ipv4Addr> {
        self.option::<4>(code).map(Ipv4Addr::from)
    }
}

/// Answers a message; none where it deserves none.
pub(super) fn answer(segment: &Segment, message: &[u8]) -> Option<Answer> {
    let asked = Asked::read(message)?;
    let member = segment.members.iter().find(|member| member.mac == asked.mac)?;
    // Meant for another server.
    let server = asked.address(OptionCode::ServerIdentifier);
    if server.is_some_and(|server| server != segment.router) {
        return None;
    }
    let asks = asked.kind()?;
    let wanted = asked.address(OptionCode::RequestedIpAddress);
    // As after an earlier cluster with another plan.
    let wants_other = wanted.unwrap_or(asked.message.ciaddr()) != member.address;
    let kind = match asks {
        MessageType::Discover => MessageType::Offer,
        MessageType::Request if wants_other => MessageType::Nak,
        MessageType::Request | MessageType::Inform => MessageType::Ack,
        _ => return None,
    };
    let ciaddr = asked.message.ciaddr();
    let address = if ciaddr.is_unspecified() || kind == MessageType::Nak || asked.message.flags().broadcast() {
        Ipv4Addr::BROADCAST
    } else {
        ciaddr
    };
    let message = reply(segment, member, &asked.message, kind, asks == MessageType::Inform);
    let mut bytes = Vec::new();
    message.encode(&mut Encoder::new(&mut bytes)).ok()?;
    Some(Answer {
        to: asked.mac,
        address,
        message: bytes,
    })
}

/// The answer of that kind. Who only `informs` himself has an address, and gets no lease (section 3.4).
fn reply(
    segment: &Segment,
    member: &Member,
    asked: &borrowed::Message<'_>,
    kind: MessageType,
    informs: bool,
) -> Message {
    let mut said = Message::default();
    said.set_opcode(Opcode::BootReply)
        .set_xid(asked.xid())
        .set_flags(asked.flags())
        .set_giaddr(asked.giaddr())
        .set_chaddr(&member.mac)
        .set_siaddr(segment.router);
    let options = said.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(segment.router));
    if kind == MessageType::Nak {
        return said;
    }
    options.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
    options.insert(DhcpOption::Hostname(member.name.clone()));
    if let Some(resolver) = segment.resolver {
        options.insert(DhcpOption::Router(vec![segment.host]));
        options.insert(DhcpOption::DomainNameServer(vec![resolver]));
    }
    if !informs {
        options.insert(DhcpOption::AddressLeaseTime(LEASE));
        said.set_yiaddr(member.address);
    }
    said.set_ciaddr(asked.ciaddr());
    said
}

#[cfg(test)]
mod tests {
    use dhcproto::v4::{Decodable, Decoder};
    use proptest::prelude::*;

    use super::*;

    const MAC: Mac = [0x52, 0x54, 0, 0x77, 0, 11];

    fn segment() -> Segment {
        Segment {
            router: Ipv4Addr::new(10, 77, 0, 1),
            host: Ipv4Addr::new(10, 77, 0, 2),
            resolver: None,
            members: vec![Member {
                name: "core-1".to_owned(),
                mac: MAC,
                address: Ipv4Addr::new(10, 77, 0, 11),
            }],
        }
    }

    fn ask(kind: MessageType, change: impl FnOnce(&mut Message)) -> Option<Message> {
        let mut message = Message::default();
        message.set_chaddr(&MAC).set_opcode(Opcode::BootRequest);
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        change(&mut message);
        let mut bytes = Vec::new();
        message.encode(&mut Encoder::new(&mut bytes)).unwrap();
        answer(&segment(), &bytes).map(|answer| {
            assert_eq!(answer.to, MAC);
            Message::decode(&mut Decoder::new(&answer.message)).unwrap()
        })
    }

    fn kind(message: &Message) -> MessageType {
        match message.opts().get(OptionCode::MessageType) {
            Some(DhcpOption::MessageType(kind)) => *kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_node_gets_its_address_and_name() {
        let offer = ask(MessageType::Discover, |_| ()).unwrap();
        assert_eq!(
            (kind(&offer), offer.yiaddr()),
            (MessageType::Offer, Ipv4Addr::new(10, 77, 0, 11))
        );
        assert_eq!(
            offer.opts().get(OptionCode::Hostname),
            Some(&DhcpOption::Hostname("core-1".to_owned()))
        );
        assert_eq!(offer.opts().get(OptionCode::Router), None);
        let request = |address: Ipv4Addr| {
            ask(MessageType::Request, |message| {
                message.opts_mut().insert(DhcpOption::RequestedIpAddress(address));
            })
            .unwrap()
        };
        assert_eq!(kind(&request(offer.yiaddr())), MessageType::Ack);
        let refused = request(Ipv4Addr::new(10, 0, 2, 15));
        assert_eq!(
            (kind(&refused), refused.yiaddr()),
            (MessageType::Nak, Ipv4Addr::UNSPECIFIED)
        );
        let renewed = ask(MessageType::Request, |message| {
            message.set_ciaddr(Ipv4Addr::new(10, 77, 0, 11));
        });
        assert_eq!(kind(&renewed.unwrap()), MessageType::Ack);
    }

    #[test]
    fn strangers_and_other_servers_get_no_answer() {
        assert_eq!(
            ask(MessageType::Discover, |message| {
                message.set_chaddr(&[2, 0, 0, 0, 0, 1]);
            }),
            None
        );
        assert_eq!(
            ask(MessageType::Request, |message| {
                message
                    .opts_mut()
                    .insert(DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 77, 0, 2)));
            }),
            None
        );
        assert_eq!(ask(MessageType::Release, |_| ()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_foreign(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = answer(&segment(), &bytes);
        }

        #[test]
        fn nor_are_the_options_of_a_node(options in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut message = Message::default();
            message.set_chaddr(&MAC).set_opcode(Opcode::BootRequest);
            message.opts_mut().insert(DhcpOption::MessageType(MessageType::Discover));
            let mut bytes = Vec::new();
            message.encode(&mut Encoder::new(&mut bytes)).unwrap();
            // Before what ends them.
            bytes.pop();
            bytes.extend(options);
            let _ = answer(&segment(), &bytes);
        }
    }
}
