//! What is served here, for programs that ask: groups, versions and resources.

use serde::Serialize;

use super::{objects::VERSION, status::GROUP};

/// `/apis`
#[derive(Serialize)]
pub(super) struct Groups {
    kind: &'static str,
    groups: [GroupOfList; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupOfList {
    name: &'static str,
    versions: [Version; 1],
    preferred_version: Version,
    #[serde(rename = "serverAddressByClientCIDRs")]
    servers: [Server; 1],
}

/// `/apis/metrics.k8s.io`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    kind: &'static str,
    api_version: &'static str,
    name: &'static str,
    versions: [Version; 1],
    preferred_version: Version,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    group_version: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Server {
    #[serde(rename = "clientCIDR")]
    clients: &'static str,
    #[serde(rename = "serverAddress")]
    address: String,
}

/// `/apis/metrics.k8s.io/v1beta1`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resources {
    kind: &'static str,
    api_version: &'static str,
    group_version: &'static str,
    resources: [Resource; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: &'static str,
    singular_name: &'static str,
    namespaced: bool,
    kind: &'static str,
    verbs: [&'static str; 2],
}

const fn version() -> Version {
    Version { group_version: VERSION, version: "v1beta1" }
}

/// The groups of a server on this port.
pub(super) fn groups(port: u16) -> Groups {
    let server = Server { clients: "0.0.0.0/0", address: format!(":{port}") };
    Groups {
        kind: "APIGroupList",
        groups: [GroupOfList {
            name: GROUP,
            versions: [version()],
            preferred_version: version(),
            servers: [server],
        }],
    }
}

/// The group.
pub(super) const fn group() -> Group {
    Group {
        kind: "APIGroup",
        api_version: "v1",
        name: GROUP,
        versions: [version()],
        preferred_version: version(),
    }
}

/// The resources of its version.
pub(super) const fn resources() -> Resources {
    const fn resource(name: &'static str, namespaced: bool, kind: &'static str) -> Resource {
        Resource { name, singular_name: "", namespaced, kind, verbs: ["get", "list"] }
    }
    Resources {
        kind: "APIResourceList",
        api_version: "v1",
        group_version: VERSION,
        resources: [resource("nodes", false, "NodeMetrics"), resource("pods", true, "PodMetrics")],
    }
}
