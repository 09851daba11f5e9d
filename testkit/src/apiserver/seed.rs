//! What is in a cluster at first.

use anyhow::Context;
use serde_json::{Value, json};

use super::{object::with_version, proxy::FRONT_PROXY, resources::by_plural, store::Store};
use crate::authority::Authority;

/// The lists of the recorded cluster.
const RECORDED: [(&str, &str); 4] = [
    ("namespaces", include_str!("../../testdata/apiserver-1.20-namespaces.json")),
    ("nodes", include_str!("../../testdata/apiserver-1.20-nodes.json")),
    ("pods", include_str!("../../testdata/apiserver-1.20-pods.json")),
    ("events", include_str!("../../testdata/apiserver-1.20-events.json")),
];

/// Puts all objects of the recorded cluster into a store, and gives the version of its lists.
pub(super) fn recorded(store: &mut Store) -> anyhow::Result<u64> {
    let mut version = 0;
    for (plural, text) in RECORDED {
        let list: Value = serde_json::from_str(text).context("a recorded list")?;
        let listed = list.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        version = listed.and_then(|listed| listed.parse().ok()).unwrap_or(0).max(version);
        for item in list["items"].as_array().into_iter().flatten() {
            store.put_recorded(by_plural(plural).context("a known resource")?, item.clone());
        }
    }
    Ok(version)
}

/// The namespaces of a simulated cluster, like recorded ones.
pub(super) fn namespaces(store: &mut Store) -> anyhow::Result<()> {
    let list: Value = serde_json::from_str(RECORDED[0].1).context("a recorded list")?;
    let namespaces = by_plural("namespaces").context("a known resource")?;
    for (index, name) in
        ["batch", "default", "kube-node-lease", "kube-public", "kube-system", "monitoring", "shop"]
            .into_iter()
            .enumerate()
    {
        let mut namespace = list["items"][0].clone();
        namespace["metadata"]["name"] = name.into();
        namespace["metadata"]["uid"] = format!("00000000-0000-4000-8000-{index:012}").into();
        namespace["metadata"]["labels"] = json!({ "kubernetes.io/metadata.name": name });
        store.put(namespaces, name.to_owned(), namespace);
    }
    Ok(())
}

/// The config map from which aggregated servers learn whom to believe.
pub(super) fn authentication(store: &mut Store, authority: &Authority) -> anyhow::Result<()> {
    let name = "extension-apiserver-authentication";
    let config_map = json!({
        "metadata": {
            "name": name, "namespace": "kube-system",
            "uid": "00000000-0000-4000-8000-000000000100",
            "creationTimestamp": "2026-11-22T10:51:12Z",
        },
        "data": {
            "client-ca-file": authority.cluster_ca_pem(),
            "requestheader-allowed-names": json!([FRONT_PROXY]).to_string(),
            "requestheader-client-ca-file": authority.front_proxy_ca_pem(),
            "requestheader-extra-headers-prefix": json!(["X-Remote-Extra-"]).to_string(),
            "requestheader-group-headers": json!(["X-Remote-Group"]).to_string(),
            "requestheader-username-headers": json!(["X-Remote-User"]).to_string(),
        },
    });
    let config_maps = by_plural("configmaps").context("a known resource")?;
    store.put(config_maps, format!("kube-system/{name}"), config_map);
    Ok(())
}

/// The registration of the aggregated group, as available.
pub(super) fn api_service(store: &mut Store) -> anyhow::Result<()> {
    let recorded = include_str!("../../testdata/apiserver-1.20-apiservice.json");
    let mut service: Value = serde_json::from_str(recorded).context("a recorded object")?;
    if let Some(members) = service.as_object_mut() {
        members.remove("kind");
        members.remove("apiVersion");
    }
    service["status"]["conditions"] = json!([{
        "type": "Available", "status": "True", "reason": "Passed",
        "lastTransitionTime": "2026-11-22T10:52:02Z", "message": "all checks passed",
    }]);
    let services = by_plural("apiservices").context("a known resource")?;
    store.put(services, "v1beta1.metrics.k8s.io".into(), with_version(service, 0));
    Ok(())
}
