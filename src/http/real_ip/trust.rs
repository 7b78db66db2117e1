//! Who is trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::TrustedProxy;
use crate::http::PeerAddr;

const LOOPBACK: [IpNet; 2] = [v4([127, 0, 0, 0], 8), v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];
const LINK_LOCAL: [IpNet; 2] = [
    v4([169, 254, 0, 0], 16),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
];
const UNIQUE_LOCAL: [IpNet; 4] = [
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> IpNet {
    let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
    IpNet::V6(Ipv6Net::new_assert(address, length))
}

/// The peers whose word counts.
#[derive(Debug)]
pub(super) struct Trusted {
    unix: bool,
    nets: Vec<IpNet>,
}

impl Trusted {
    pub(super) fn new(proxies: &[TrustedProxy]) -> Self {
        let mut nets = Vec::new();
        for proxy in proxies {
            match proxy {
                TrustedProxy::Unix => {}
                TrustedProxy::Loopback => nets.extend(LOOPBACK),
                TrustedProxy::LinkLocal => nets.extend(LINK_LOCAL),
                TrustedProxy::UniqueLocal => nets.extend(UNIQUE_LOCAL),
                TrustedProxy::Private => nets.extend(LOOPBACK.iter().chain(&UNIQUE_LOCAL)),
                TrustedProxy::Net(net) => nets.push(*net),
            }
        }
        let unix = proxies.contains(&TrustedProxy::Unix);
        Self { unix, nets }
    }

    /// Whether this peer is one of them. An IPv4 peer of an IPv6 socket is what it is.
    pub(super) fn covers(&self, peer: PeerAddr) -> bool {
        match peer {
            PeerAddr::Unix => self.unix,
            PeerAddr::Inet(address) => {
                let ip: IpAddr = address.ip().to_canonical();
                self.nets.iter().any(|net| net.contains(&ip))
            }
        }
    }
}
