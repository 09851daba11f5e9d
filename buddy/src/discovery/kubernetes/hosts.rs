//! From nodes to hosts.

use std::sync::Arc;

use compact_str::{CompactString, ToCompactString as _};
use heapster_shared::{
    entity::Labels,
    host::{Endpoint, Host},
    tag,
};

use crate::kubernetes::{LabelSelector, NodeInfo};

/// The types of addresses that Kubernetes knows, in the order in which they are tried. IP addresses
/// come first, for they work without DNS: the host names of nodes are known to few resolvers, least
/// of all to that of a pod. (The order of the metrics-server, names first, is what its users change
/// most often.) A certificate is not held against the address where the source verifies another
/// name.
const ADDRESS_TYPES: [&str; 5] =
    ["InternalIP", "ExternalIP", "InternalDNS", "ExternalDNS", "Hostname"];

/// Which nodes are hosts, and what is taken over from them.
pub(super) struct Mapping {
    selector: LabelSelector,
    skip_virtual: bool,
    address_types: Vec<&'static str>,
    labels: LabelChoice,
}

/// The labels of a node that its host has too.
enum LabelChoice {
    All,
    Named(Vec<CompactString>),
}

impl Mapping {
    /// A mapping; lists as they stand in the options.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn new(
        selector: LabelSelector,
        skip_virtual: bool,
        address_types: &str,
        labels: &str,
    ) -> Result<Self, String> {
        let address_types = match address_types {
            "" => ADDRESS_TYPES.to_vec(),
            list => items(list).map(known_type).collect::<Result<_, _>>()?,
        };
        if address_types.is_empty() {
            return Err("`address_types` names none".to_owned());
        }
        let labels = match labels.trim() {
            "*" => LabelChoice::All,
            list => LabelChoice::Named(items(list).map(CompactString::from).collect()),
        };
        Ok(Self { selector, skip_virtual, address_types, labels })
    }

    /// The hosts of nodes.
    pub(super) fn hosts(&self, nodes: &[Arc<NodeInfo>]) -> Vec<Host> {
        let wanted = nodes.iter().filter(|node| {
            !(self.skip_virtual && node.is_virtual()) && self.selector.matches(&node.labels)
        });
        wanted.map(|node| self.host(node)).collect()
    }

    fn host(&self, node: &NodeInfo) -> Host {
        let endpoint = Endpoint {
            kind: "kubelet".into(),
            scheme: "https".into(),
            port: node.kubelet_port,
            ..Endpoint::default()
        };
        Host {
            id: node.name.clone(),
            name: node.name.clone(),
            addresses: self.addresses(node),
            endpoints: vec![endpoint],
            labels: self.labels(node),
            ready: node.ready,
            state: node.not_ready_reason.clone(),
            local: false,
        }
    }

    /// Each address once, those of the most preferred type first.
    fn addresses(&self, node: &NodeInfo) -> Vec<CompactString> {
        let mut addresses: Vec<CompactString> = Vec::new();
        for kind in &self.address_types {
            let of_kind = node.addresses.iter().filter(|address| address.kind == *kind);
            for address in of_kind.map(|address| &address.address) {
                if !address.is_empty() && !addresses.contains(address) {
                    addresses.push(address.clone());
                }
            }
        }
        addresses
    }

    fn labels(&self, node: &NodeInfo) -> Labels {
        let uid = (tag::HOST_ID, node.uid.as_str());
        let chosen = |name: &str| match &self.labels {
            LabelChoice::All => true,
            LabelChoice::Named(names) => names.iter().any(|chosen| chosen == name),
        };
        let labels = node.labels.iter().filter(|(name, _)| chosen(name)).chain([uid]);
        labels.map(|(name, value)| (name.to_compact_string(), value.to_compact_string())).collect()
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn known_type(word: &str) -> Result<&'static str, String> {
    let known = ADDRESS_TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(word));
    known.ok_or_else(|| {
        format!("unknown type of address `{word}`; the known ones are {}", ADDRESS_TYPES.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::NodeAddress;

    fn node(name: &str, labels: &[(&str, &str)]) -> Arc<NodeInfo> {
        let address =
            |kind: &str, address: &str| NodeAddress { kind: kind.into(), address: address.into() };
        Arc::new(NodeInfo {
            name: name.into(),
            uid: "uid".into(),
            labels: labels.iter().copied().collect(),
            addresses: vec![
                address("Hostname", name),
                address("ExternalIP", "1.2.3.4"),
                address("InternalIP", "10.0.0.1"),
                address("InternalIP", "fd00::1"),
                address("ExternalIP", "10.0.0.1"),
            ],
            kubelet_port: 10250,
            ready: true,
            ..NodeInfo::default()
        })
    }

    fn mapping(selector: &str, skip_virtual: bool, types: &str, labels: &str) -> Mapping {
        Mapping::new(LabelSelector::parse(selector).unwrap(), skip_virtual, types, labels).unwrap()
    }

    #[test]
    fn a_host_is_where_its_node_says() {
        let node = node("a", &[("zone", "z1"), ("rack", "r")]);
        let host = mapping("", false, "", "zone,none").hosts(&[Arc::clone(&node)]).remove(0);
        assert_eq!((host.id.as_str(), host.name.as_str(), host.ready), ("a", "a", true));
        assert_eq!(host.addresses, ["10.0.0.1", "fd00::1", "1.2.3.4", "a"]);
        let endpoint = &host.endpoints[0];
        assert_eq!(
            (&*endpoint.kind, &*endpoint.scheme, endpoint.port),
            ("kubelet", "https", 10250)
        );
        assert_eq!(host.labels, Labels::from_iter([("host_id", "uid"), ("zone", "z1")]));
        let host = mapping("", false, "hostname, InternalIP", "*").hosts(&[node]).remove(0);
        assert_eq!(host.addresses, ["a", "10.0.0.1", "fd00::1"]);
        assert_eq!(host.labels.len(), 3);
    }

    /// What is left out is left out by choice; a node that is not ready never is.
    #[test]
    fn nodes_are_chosen_by_label_and_not_by_health() {
        let sick = NodeInfo {
            ready: false,
            not_ready_reason: "KubeletNotReady".into(),
            ..(*node("sick", &[("os", "linux")])).clone()
        };
        let nodes = [
            Arc::new(sick),
            node("win", &[("os", "windows")]),
            node("virtual", &[("type", "virtual-kubelet"), ("os", "linux")]),
        ];
        let names = |mapping: &Mapping| -> Vec<String> {
            mapping.hosts(&nodes).iter().map(|host| host.name.to_string()).collect()
        };
        assert_eq!(names(&mapping("", false, "", "")), ["sick", "win", "virtual"]);
        assert_eq!(names(&mapping("os=linux", true, "", "")), ["sick"]);
        let host = mapping("", false, "", "").hosts(&nodes).remove(0);
        assert!(!host.ready && host.state == "KubeletNotReady");
    }
}
