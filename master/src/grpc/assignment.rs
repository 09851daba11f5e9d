//! Orders as the protocol's messages.

use std::collections::HashMap;

use heapster_proto::v1;
use heapster_shared::{
    entity::Labels,
    host::{Endpoint, Host},
};
use prost::Message as _;

use crate::core::assign::{Order, Task};

/// No chunk is larger, whatever is allowed: much less than what clients take by default.
const CHUNK_BYTES: usize = 1 << 20;

/// An order in chunks of at most so many bytes, unless a single host has more.
pub(super) fn chunks(order: &Order, max_bytes: usize) -> Vec<v1::Assignment> {
    let Task::Hosts(hosts) = &order.task else {
        let (version, hosts) = (order.version, Vec::new());
        return vec![v1::Assignment { version, hosts, last: true, own_hosts: true }];
    };
    let max_bytes = max_bytes.min(CHUNK_BYTES);
    let mut parts: Vec<Vec<v1::Host>> = vec![Vec::new()];
    let mut bytes = 0;
    for host in hosts.iter() {
        let host = wire(host);
        // With the tag and the length of each.
        let length = host.encoded_len() + 8;
        if bytes > 0 && bytes + length > max_bytes {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += length;
        if let Some(part) = parts.last_mut() {
            part.push(host);
        }
    }
    let count = parts.len();
    let numbered = parts.into_iter().enumerate();
    let chunk = |(index, hosts)| v1::Assignment {
        version: order.version,
        hosts,
        last: index + 1 == count,
        own_hosts: false,
    };
    numbered.map(chunk).collect()
}

fn wire(host: &Host) -> v1::Host {
    v1::Host {
        id: host.id.to_string(),
        name: host.name.to_string(),
        addresses: host.addresses.iter().map(ToString::to_string).collect(),
        endpoints: host.endpoints.iter().map(endpoint).collect(),
        labels: labels(&host.labels),
        ready: host.ready,
        state: host.state.to_string(),
        local: host.local,
    }
}

fn endpoint(endpoint: &Endpoint) -> v1::Endpoint {
    v1::Endpoint {
        kind: endpoint.kind.to_string(),
        scheme: endpoint.scheme.to_string(),
        port: u32::from(endpoint.port),
        path: endpoint.path.to_string(),
        server_name: endpoint.server_name.to_string(),
    }
}

fn labels(labels: &Labels) -> HashMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn order(hosts: usize) -> Order {
        let hosts = (0..hosts).map(|number| Arc::new(Host::named(&format!("node-{number:05}"))));
        Order { buddy: "b".into(), version: 3, task: Task::Hosts(hosts.collect()) }
    }

    /// Chunks keep to the limit, have all hosts in order, and the last one alone says so.
    #[test]
    fn a_long_order_goes_in_chunks() {
        let chunks = chunks(&order(1_000), 4_000);
        assert!(chunks.len() > 5, "{}", chunks.len());
        assert!(chunks.iter().all(|chunk| chunk.encoded_len() <= 4_016 && chunk.version == 3));
        let last: Vec<bool> = chunks.iter().map(|chunk| chunk.last).collect();
        assert_eq!(last.iter().position(|last| *last), Some(last.len() - 1));
        let ids: Vec<&str> =
            chunks.iter().flat_map(|chunk| &chunk.hosts).map(|host| host.id.as_str()).collect();
        assert!(ids.len() == 1_000 && ids.is_sorted());
    }

    /// An empty list is a list, a host beyond the limit goes alone, and own hosts are named by none.
    #[test]
    fn short_orders_are_one_chunk() {
        assert_eq!(chunks(&order(0), 100).len(), 1);
        assert_eq!(chunks(&order(2), 1).len(), 2);
        let own = chunks(&Order { task: Task::Own, ..order(0) }, 100);
        assert!(own.len() == 1 && own[0].own_hosts && own[0].last);
    }
}
