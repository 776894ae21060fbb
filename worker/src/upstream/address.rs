//! Which addresses a provider may be at.
//!
//! Link-local and cloud-metadata addresses are refused always: whoever may write a `base_url` could otherwise read the credentials of the
//! machine we run on. Loopback and private networks are allowed unless the organization denies them. The question is asked of addresses
//! after name resolution and again at every connection, so that a name can't change its mind in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses at which clouds answer with credentials and that are not link-local.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// How an address is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Anybody's.
    Public,
    /// Loopback, private and shared networks.
    Private,
    /// Never to be connected to.
    Forbidden,
}

/// Classifies `address`, looking through the IPv6 forms that carry an IPv4 address.
pub(crate) fn zone(address: IpAddr) -> Zone {
    match address {
        IpAddr::V4(v4) => zone_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => zone_v4(v4),
            None => zone_v6(v6),
        },
    }
}

fn zone_v4(v4: Ipv4Addr) -> Zone {
    let [first, second, ..] = v4.octets();
    if v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast() || METADATA_V4.contains(&v4) || first == 0 {
        return Zone::Forbidden;
    }
    let shared = first == 100 && (64..128).contains(&second);
    if v4.is_loopback() || v4.is_private() || shared { Zone::Private } else { Zone::Public }
}

fn zone_v6(v6: Ipv6Addr) -> Zone {
    if v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast() || v6 == METADATA_V6 {
        return Zone::Forbidden;
    }
    if v6.is_loopback() || v6.is_unique_local() { Zone::Private } else { Zone::Public }
}

/// The IPv4 address inside mapped, compatible, NAT64 and 6to4 addresses.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    if v6.is_loopback() || v6.is_unspecified() {
        return None;
    }
    let [first, second, ..] = v6.segments();
    let octets = v6.octets();
    let tail = || match octets {
        [.., a, b, c, d] => Ipv4Addr::new(a, b, c, d),
    };
    let front_is_zero = octets.iter().take(10).all(|octet| *octet == 0);
    if let Some(mapped) = v6.to_ipv4_mapped() {
        return Some(mapped);
    }
    if front_is_zero && octets.iter().skip(10).take(2).all(|octet| *octet == 0) {
        return Some(tail());
    }
    if (first, second) == (0x64, 0xff9b) {
        return Some(tail());
    }
    match octets {
        [0x20, 0x02, a, b, c, d, ..] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Zone {
        zone(text.parse().expect("an address"))
    }

    #[test]
    fn link_local_and_metadata_addresses_are_forbidden_in_every_disguise() {
        for text in [
            "169.254.169.254",
            "0.0.0.0",
            "100.100.100.200",
            "192.0.0.192",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "::",
        ] {
            assert_eq!(of(text), Zone::Forbidden, "{text}");
        }
    }

    #[test]
    fn loopback_and_private_networks_are_private() {
        for text in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1", "::ffff:10.0.0.1"] {
            assert_eq!(of(text), Zone::Private, "{text}");
        }
    }

    #[test]
    fn other_addresses_are_public() {
        for text in ["1.1.1.1", "8.8.8.8", "2606:4700::1111"] {
            assert_eq!(of(text), Zone::Public, "{text}");
        }
    }
}
