//! Reads the texts in which network plugins write down a pod's addresses.

use std::net::IpAddr;

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::ledger::network::Network;
use crate::ledger::network::parse_interface;

/// What one text tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Addresses of the pod in the default network, with the mask where one is written.
    pub addresses: Vec<(IpAddr, Option<u8>)>,
    /// Destinations of the pod's routes.
    pub routes: Vec<Network>,
}

/// Reads the annotation `k8s.ovn.org/pod-networks` (ovn-kubernetes pod_annotation.go): an object
/// with one entry per network, of which only `default` reaches the API servers; `ip_addresses`
/// holds one address per family, `ip_address` stands alone in older releases.
pub fn pod_networks(text: &str) -> Told {
    let mut told = Told::default();
    with_json(text, |root| {
        let Some(default) = root.get("default") else { return };
        for address in default.get("ip_addresses").iter().flat_map(Json::elements) {
            told.addresses.extend(address.as_str().and_then(|text| parse_interface(&text)));
        }
        if told.addresses.is_empty() {
            let single = default.text_at(&["ip_address"]);
            told.addresses.extend(single.and_then(|text| parse_interface(&text)));
        }
        for route in default.get("routes").iter().flat_map(Json::elements) {
            told.routes.extend(route.text_at(&["dest"]).and_then(|text| Network::parse(&text)));
        }
    });
    told
}

/// Reads the annotation `k8s.v1.cni.cncf.io/network-status` (multus): a list with one entry per
/// network; the default one is marked so, and stands alone where none is marked.
pub fn network_status(text: &str) -> Told {
    let mut told = Told::default();
    with_json(text, |root| {
        let marked =
            root.elements().any(|entry| entry.get("default").map(|d| d.kind()) == Some(Kind::True));
        for entry in root.elements() {
            let default = entry.get("default").map(|d| d.kind()) == Some(Kind::True);
            if default || !marked {
                for ip in entry.get("ips").iter().flat_map(Json::elements) {
                    told.addresses.extend(ip.as_str().and_then(|text| parse_interface(&text)));
                }
            }
            if !marked {
                break;
            }
        }
    });
    told
}

/// Reads the message of an `AddedInterface` event:
/// `Add eth0 [10.130.0.135/23 fd01::5/64] from ovn-kubernetes`.
pub fn added_interface(message: &str) -> Told {
    let mut told = Told::default();
    let inside = message
        .strip_prefix("Add eth0 [")
        .and_then(|rest| rest.split_once(']'))
        .map(|(inside, _)| inside);
    for text in inside.unwrap_or_default().split([' ', ',']).filter(|text| !text.is_empty()) {
        told.addresses.extend(parse_interface(text));
    }
    told
}

/// Reads a map or list of CIDRs in JSON (`k8s.ovn.org/node-subnets`, `k8s.ovn.org/host-cidrs`).
pub fn networks_in_json(text: &str) -> Vec<(IpAddr, Option<u8>)> {
    let mut found = Vec::new();
    with_json(text, |root| {
        let mut open = vec![root];
        while let Some(json) = open.pop() {
            match json.kind() {
                Kind::Object => open.extend(json.entries().map(|(_, value)| value)),
                Kind::Array => open.extend(json.elements()),
                _ => found.extend(json.as_str().and_then(|text| parse_interface(&text))),
            }
        }
    });
    found
}

fn with_json(text: &str, read: impl FnOnce(Json<'_>)) {
    let mut tape = Tape::default();
    if parse_lenient(text.as_bytes(), &mut tape).is_ok() {
        if let Some(root) = tape.root(text.as_bytes()) {
            read(root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(told: &Told) -> Vec<String> {
        told.addresses.iter().map(|(address, _)| address.to_string()).collect()
    }

    #[test]
    fn ovn_writes_one_address_or_one_per_family() {
        let single = pod_networks(
            r#"{"default":{"ip_addresses":["10.128.1.81/23"],"routes":[{"dest":"10.128.0.0/14","nextHop":"10.128.0.1"}],"ip_address":"10.128.1.81/23"},"shop/extra":{"ip_addresses":["172.16.0.9/24"]}}"#,
        );
        assert_eq!(texts(&single), ["10.128.1.81"]);
        assert_eq!(single.routes[0].to_string(), "10.128.0.0/14");
        let dual = pod_networks(r#"{"default":{"ip_addresses":["10.128.1.81/23","fd01::51/64"]}}"#);
        assert_eq!(texts(&dual), ["10.128.1.81", "fd01::51"]);
        let old = pod_networks(r#"{"default":{"ip_address":"10.128.1.9/23"}}"#);
        assert_eq!(texts(&old), ["10.128.1.9"]);
    }

    #[test]
    fn only_the_default_network_of_multus_counts() {
        let told = network_status(
            "[{\n \"name\":\"ovn-kubernetes\",\n \"ips\":[\"10.130.0.135\"],\n \"default\":true},{\"name\":\"x\",\"ips\":[\"192.168.9.9\"]}]",
        );
        assert_eq!(texts(&told), ["10.130.0.135"]);
    }

    #[test]
    fn hostile_texts_tell_nothing() {
        assert_eq!(pod_networks("{\"default\":"), Told::default());
        assert_eq!(pod_networks(&"[".repeat(100_000)), Told::default());
        assert_eq!(added_interface("Add eth0 [not-an-address] from x"), Told::default());
        assert_eq!(
            texts(&added_interface("Add eth0 [10.130.0.135/23] from ovn-kubernetes")),
            ["10.130.0.135"]
        );
        assert_eq!(added_interface("Add net1 [10.130.0.135/23] from x"), Told::default());
    }
}
