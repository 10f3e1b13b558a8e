//! Addresses and networks as evidence and indicator lists write them.

use std::collections::HashSet;
use std::net::IpAddr;
use std::net::Ipv6Addr;

use crate::event::field::FieldKind;
use crate::query::ast::ValueSet;

/// Reads an address; a v4 address that v6 carries (`::ffff:10.0.0.1`) is the v4 address.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    // Cheaper than parsing what is no address.
    if !text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':') || text.len() > 45 {
        return None;
    }
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Reads `address/prefix`, host bits cleared, v4-mapped v6 as v4.
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let address: IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= longest).then(|| normal_network(address, prefix))
}

/// Clears the host bits and makes v4 of v4-mapped v6.
pub(crate) fn normal_network(address: IpAddr, prefix: u8) -> (IpAddr, u8) {
    let (address, prefix) = match (address, address.to_canonical()) {
        (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if prefix >= 96 => (v4, prefix - 96),
        (address, _) => (address, prefix),
    };
    (masked(address, prefix), prefix)
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

/// Says whether `value` lies in the network, whose host bits are cleared.
pub(crate) fn in_network(value: IpAddr, network: IpAddr, prefix: u8) -> bool {
    value.is_ipv4() == network.is_ipv4() && masked(value, prefix) == network
}

/// Networks by length of prefix: one lookup for each length that occurs.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetworkSet {
    prefixes_v4: Vec<u8>,
    prefixes_v6: Vec<u8>,
    networks: HashSet<(IpAddr, u8)>,
}

impl NetworkSet {
    pub(crate) fn of(set: &ValueSet, kind: FieldKind) -> NetworkSet {
        let mut out = NetworkSet::default();
        if kind != FieldKind::Address {
            return out;
        }
        for (address, prefix) in &set.networks {
            let (address, prefix) = normal_network(*address, *prefix);
            let prefixes =
                if address.is_ipv4() { &mut out.prefixes_v4 } else { &mut out.prefixes_v6 };
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
            out.networks.insert((address, prefix));
        }
        out
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    pub(crate) fn contains(&self, value: IpAddr) -> bool {
        let prefixes = if value.is_ipv4() { &self.prefixes_v4 } else { &self.prefixes_v6 };
        prefixes.iter().any(|prefix| self.networks.contains(&(masked(value, *prefix), *prefix)))
    }
}
