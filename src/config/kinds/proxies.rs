//! The proxies that are trusted: addresses, networks, and Express's names for some of them; and
//! where they name the client.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::Kind;
use super::text::{list, quote_list};
use super::word::Choice;
use crate::config::key::{Limits, Said};
use crate::config::suggest::{hint, nearest};
use crate::config::usual::{ForwardedHeader, TrustedProxy};

/// A list of trusted proxies.
pub(in crate::config) struct Proxies;

/// The names.
const NAMES: [(&str, TrustedProxy); 5] = [
    ("unix", TrustedProxy::Unix),
    ("loopback", TrustedProxy::Loopback),
    ("linklocal", TrustedProxy::LinkLocal),
    ("uniquelocal", TrustedProxy::UniqueLocal),
    ("private", TrustedProxy::Private),
];

impl Choice for ForwardedHeader {
    const ALL: &'static [(&'static str, Self)] = &[
        ("X-Forwarded-For", Self::XForwardedFor),
        ("Forwarded", Self::Forwarded),
        ("X-Real-IP", Self::XRealIp),
    ];
}

impl Kind<Vec<TrustedProxy>> for Proxies {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Vec<TrustedProxy>, String> {
        let texts = list(said).ok_or_else(|| said.not("a list of addresses"))?;
        texts.iter().map(|text| proxy(text)).collect()
    }

    fn show(value: &Vec<TrustedProxy>) -> String {
        let words: Vec<String> = value.iter().map(word).collect();
        quote_list(&words)
    }
}

fn proxy(text: &str) -> Result<TrustedProxy, String> {
    if let Some((_, proxy)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*proxy);
    }
    let address = text.parse::<IpAddr>().ok();
    let net = address
        .map(|address| IpNet::from(address.to_canonical()))
        .or_else(|| text.parse::<IpNet>().ok().map(canonical));
    net.map(TrustedProxy::Net).ok_or_else(|| {
        let names = NAMES.map(|(name, _)| name);
        format!(
            "{text:?} is not an address such as `10.0.0.1`, a network such as `10.0.0.0/8`, or \
             one of {}{}",
            names.join(", "),
            hint(nearest(text, names))
        )
    })
}

/// An IPv4 network in the form of IPv6, as what it is; clients are compared as what they are.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.addr().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(96);
    match mapped
        .zip(length)
        .map(|(address, length)| Ipv4Net::new(address, length))
    {
        Some(Ok(v4)) => IpNet::V4(v4),
        _ => net,
    }
}

fn word(proxy: &TrustedProxy) -> String {
    match (NAMES.iter().find(|(_, own)| own == proxy), proxy) {
        (None, TrustedProxy::Net(net)) => net.to_string(),
        (found, _) => found.map_or(String::new(), |(name, _)| (*name).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_again() {
        for (text, written) in [
            ("unix", "unix"),
            ("private", "private"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            let read = proxy(text).unwrap();
            assert_eq!(word(&read), written);
            assert_eq!(proxy(written), Ok(read));
        }
        for text in ["10.0.0.0/33", "10.0.0", "", "unix:/run/x", "fe80::1%eth0"] {
            assert!(proxy(text).is_err(), "{text}");
        }
        assert!(
            proxy("lopback")
                .unwrap_err()
                .ends_with("did you mean `loopback`?")
        );
    }
}
