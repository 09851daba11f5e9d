//! Whether rows have what the cluster manager knows of their pods: without it the work of joining would
//! be missing from the figures.

use std::collections::BTreeMap;

use anyhow::bail;
use heapster_shared::tag;
use serde::Deserialize;

use super::api::Api;

/// So much is read of the newest rows; a pod is among the first.
const READ_BYTES: usize = 8 << 20;
/// What every pod of the simulation has.
const EXPECTED: [&str; 8] = [
    tag::NODENAME,
    tag::POD_NAME,
    tag::POD_ID,
    tag::NAMESPACE_NAME,
    tag::NAMESPACE_ID,
    tag::LABELS,
    tag::OWNER_KIND,
    tag::OWNER_NAME,
];

#[derive(Deserialize)]
struct Entry {
    labels: BTreeMap<String, String>,
}

/// What is missing of the first pod that the master tells of, in words.
pub(super) async fn fault(api: &Api) -> anyhow::Result<Option<String>> {
    let mut response = api.export().await?;
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        text.extend_from_slice(&chunk);
        if let Some(pod) = first_pod(&text) {
            return Ok(missing(&pod));
        }
        if text.len() > READ_BYTES {
            break;
        }
    }
    bail!("the master tells of no pod in {} bytes of its newest rows", text.len())
}

/// The first pod of a list of which only the beginning is known.
fn first_pod(text: &[u8]) -> Option<Entry> {
    let mut rest = text.trim_ascii_start().strip_prefix(b"[")?;
    loop {
        let mut entries = serde_json::Deserializer::from_slice(rest).into_iter::<Entry>();
        let entry = entries.next()?.ok()?;
        let end = entries.byte_offset();
        if entry.labels.get(tag::TYPE).is_some_and(|level| level == "pod") {
            return Some(entry);
        }
        rest = rest.get(end..)?.trim_ascii_start().strip_prefix(b",")?;
    }
}

fn missing(pod: &Entry) -> Option<String> {
    let has = |name: &str| pod.labels.get(name).is_some_and(|value| !value.is_empty());
    let name = pod.labels.get(tag::POD_NAME).map_or("?", String::as_str);
    let missing = EXPECTED.into_iter().find(|expected| !has(expected));
    if let Some(missing) = missing {
        return Some(format!("the pod {name} has no label {missing}"));
    }
    let labels = pod.labels.get(tag::LABELS)?;
    (!labels.contains("app:")).then(|| format!("the labels of the pod {name} lack `app`: {labels}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = r#"[{"metrics":{},"labels":{"type":"node"}},"#;

    fn pod(without: &str) -> String {
        let labels = EXPECTED.into_iter().filter(|name| *name != without);
        let labels: Vec<_> = labels.map(|name| format!("\"{name}\":\"app:x\"")).collect();
        format!(r#"{{"metrics":{{}},"labels":{{"type":"pod",{}}}}}"#, labels.join(","))
    }

    /// Whatever piece of the list has come.
    #[test]
    fn the_first_pod_is_found_as_soon_as_it_is_there() {
        let text = format!("{NODE}{}", pod(""));
        for length in 0..text.len() {
            assert!(first_pod(&text.as_bytes()[..length]).is_none());
        }
        assert!(first_pod(text.as_bytes()).is_some());
        assert!(first_pod(format!("{text},{{\"metr").as_bytes()).is_some());
    }

    #[test]
    fn a_missing_label_is_named() {
        let read = |text: &str| missing(&serde_json::from_str(text).unwrap());
        assert_eq!(read(&pod("")), None);
        let fault = read(&pod(tag::OWNER_NAME)).unwrap();
        assert_eq!(fault, "the pod app:x has no label owner_name");
        let other = pod("").replace("\"labels\":\"app:x\"", "\"labels\":\"tier:x\"");
        assert!(read(&other).unwrap().contains("lack `app`"));
    }
}
