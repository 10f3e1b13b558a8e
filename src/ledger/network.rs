//! Addresses and networks as the evidence writes them, in one comparable form.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// A network: an address whose host bits are zero, and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// First address.
    pub address: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

/// Reads an address; v4-mapped v6 becomes v4, so that one address has one form.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // A zone (`fe80::1%eth0`) belongs to the host that wrote it, not to the address.
    let text = text.split('%').next().unwrap_or(text);
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Reads `10.128.1.81/23` as the address and the length of its mask.
pub fn parse_interface(text: &str) -> Option<(IpAddr, Option<u8>)> {
    match text.split_once('/') {
        None => Some((parse_address(text)?, None)),
        Some((address, prefix)) => {
            let address = parse_address(address)?;
            let prefix = prefix.trim().parse::<u8>().ok().filter(|p| *p <= bits(address))?;
            Some((address, Some(prefix)))
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl Network {
    /// The network of this length that holds `address`.
    pub fn around(address: IpAddr, prefix: u8) -> Network {
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
            }
            IpAddr::V6(v6) => {
                let mask =
                    u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
            }
        };
        Network { address, prefix }
    }

    /// Reads a CIDR.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = parse_interface(text)?;
        Some(Network::around(address, prefix?))
    }

    /// Says whether `address` lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && Network::around(address, self.prefix).address == self.address
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_address_tells_its_network() {
        let (address, prefix) = parse_interface("10.128.1.81/23").unwrap();
        let network = Network::around(address, prefix.unwrap());
        assert_eq!(network.to_string(), "10.128.0.0/23");
        assert!(network.contains(parse_address("10.128.0.7").unwrap()));
        assert!(!network.contains(parse_address("10.128.2.1").unwrap()));
        assert!(!network.contains(parse_address("::1").unwrap()));
    }

    #[test]
    fn one_address_has_one_form() {
        assert_eq!(parse_address("::ffff:10.0.0.1"), parse_address("10.0.0.1"));
        assert_eq!(parse_address("10.0.0.1, 10.0.0.2"), None);
        assert_eq!(Network::parse("0.0.0.0/0").unwrap().prefix, 0);
        assert!(Network::parse("0.0.0.0/0").unwrap().contains(parse_address("8.8.8.8").unwrap()));
        assert!(Network::parse("fd01::/48").unwrap().contains(parse_address("fd01::5").unwrap()));
        assert_eq!(Network::parse("10.0.0.0/33"), None);
    }
}
