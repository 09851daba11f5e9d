//! Makes the index templates that say how documents are kept, where there are none. They are made
//! once: whoever changes one keeps what he changed.
//!
//! An account that may write but not manage is common: being forbidden to look or to make is no failure
//! here. What is then missing, the write says.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    client::Client,
    options::{Place, Settings},
};
use crate::sinks::{SinkError, peer::Answer};

/// The longest text that can be looked for; longer ones are kept, and only shown.
const LONGEST_KEYWORD: u32 = 1024;
/// Labels of many applications are many fields.
const MOST_FIELDS: u32 = 5_000;
/// Above the templates that the peers bring with them.
const PRIORITY: u32 = 300;

/// Which of the two families a cluster is of: they name policies of retention differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Elasticsearch,
    OpenSearch,
}

/// Makes what is absent.
pub(super) async fn prepare(client: &Client, settings: &Settings) -> Result<(), SinkError> {
    if !settings.template {
        return Ok(());
    }
    let family = family(client).await?;
    if let Some(retention) = settings.retention {
        let (path, policy) = policy(family, settings, retention);
        put_absent(client, &path, &policy).await?;
    }
    for events in [false, true] {
        if !events || settings.events {
            let path = format!("/_index_template/{}", template_name(&settings.place, events));
            put_absent(client, &path, &template(family, settings, events)).await?;
        }
    }
    Ok(())
}

async fn family(client: &Client) -> Result<Family, SinkError> {
    #[derive(Default, Deserialize)]
    struct Root {
        #[serde(default)]
        version: Version,
    }
    #[derive(Default, Deserialize)]
    struct Version {
        #[serde(default)]
        distribution: String,
    }
    let answer = client.send(Method::GET, "/", |request| request).await?;
    if answer.status.is_success() {
        let root: Root = serde_json::from_slice(&answer.body).unwrap_or_default();
        let open = root.version.distribution == "opensearch";
        return Ok(if open { Family::OpenSearch } else { Family::Elasticsearch });
    }
    if may_be_forbidden(client, "/", &answer)? {
        Ok(Family::Elasticsearch)
    } else {
        Err(client.failure(&answer))
    }
}

/// Puts something where nothing is.
async fn put_absent(client: &Client, path: &str, wanted: &Value) -> Result<(), SinkError> {
    let found = client.send(Method::GET, path, |request| request).await?;
    if found.status != StatusCode::NOT_FOUND {
        return if found.status.is_success() || may_be_forbidden(client, path, &found)? {
            Ok(())
        } else {
            Err(client.failure(&found))
        };
    }
    let made = client.send(Method::PUT, path, |request| request.json(wanted)).await?;
    if made.status.is_success() || may_be_forbidden(client, path, &made)? {
        return Ok(());
    }
    // Not as a refusal of samples, which wait until somebody has seen to it.
    let message = format!("{} does not take {path}: {}", client.place(), made.says);
    Err(made.transient(message))
}

/// Whether the account may not do this. One that is not known at all fails.
fn may_be_forbidden(client: &Client, path: &str, answer: &Answer) -> Result<bool, SinkError> {
    match answer.status {
        StatusCode::UNAUTHORIZED => Err(client.failure(answer)),
        StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED | StatusCode::CONFLICT => {
            tracing::debug!(
                peer = %client.place(),
                path,
                status = %answer.status,
                says = %answer.says,
                "the cluster does not let us look for this, or make it"
            );
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn template_name(place: &Place, events: bool) -> String {
    let (Place::Streams(name) | Place::Daily(name)) = place;
    format!("{name}-{}", if events { "events" } else { "metrics" })
}

/// What names of indices or data streams the template is for.
fn pattern(place: &Place, events: bool) -> String {
    match (place, events) {
        (Place::Streams(_), _) => template_name(place, events),
        // A year, so that the one is not for the indices of the other.
        (Place::Daily(name), false) => format!("{name}-2*"),
        (Place::Daily(name), true) => format!("{name}-events-2*"),
    }
}

fn template(family: Family, settings: &Settings, events: bool) -> Value {
    let place = &settings.place;
    let mut wanted = json!({
        "index_patterns": [pattern(place, events)],
        "priority": PRIORITY,
        "template": {
            "settings": {"index.mapping.total_fields.limit": MOST_FIELDS},
            "mappings": if events { event_mappings() } else { metric_mappings() },
        },
        "_meta": {"description": "made by heapster once, and never changed by it"},
    });
    if matches!(place, Place::Streams(_)) {
        wanted["data_stream"] = json!({});
    }
    if settings.retention.is_some() && family == Family::Elasticsearch {
        wanted["template"]["settings"]["index.lifecycle.name"] = policy_name(place).into();
    }
    wanted
}

fn metric_mappings() -> Value {
    json!({
        "dynamic_templates": [
            {"labels": {"path_match": "labels.*", "mapping": keyword()}},
            {"whole": {"path_match": "metrics.*", "match_mapping_type": "long",
                "mapping": {"type": "long"}}},
            {"real": {"path_match": "metrics.*", "match_mapping_type": "double",
                "mapping": {"type": "double"}}},
        ],
        "properties": {"@timestamp": {"type": "date"}},
    })
}

fn event_mappings() -> Value {
    json!({
        "dynamic_templates": [
            {"texts": {"match_mapping_type": "string", "mapping": keyword()}},
        ],
        "properties": {
            "@timestamp": {"type": "date"},
            "event": {"properties": {
                "message": {"type": "text"},
                "firstTimestamp": {"type": "date"},
                "lastTimestamp": {"type": "date"},
                "count": {"type": "long"},
            }},
        },
    })
}

fn keyword() -> Value {
    json!({"type": "keyword", "ignore_above": LONGEST_KEYWORD})
}

fn policy_name(place: &Place) -> String {
    let (Place::Streams(name) | Place::Daily(name)) = place;
    name.clone()
}

/// Where the policy of retention goes, and what it says. What is deleted is whole indices, so that a
/// data stream begins a new one often enough.
fn policy(family: Family, settings: &Settings, retention: Duration) -> (String, Value) {
    let place = &settings.place;
    let name = policy_name(place);
    let age = format!("{}h", retention.as_secs() / 3600);
    let rolls = matches!(place, Place::Streams(_));
    match family {
        Family::Elasticsearch => {
            let rollover = json!({"rollover": {"max_age": "1d", "max_size": "50gb"}});
            let hot = if rolls { rollover } else { json!({}) };
            let phases = json!({
                "hot": {"actions": hot},
                "delete": {"min_age": age, "actions": {"delete": {}}},
            });
            (format!("/_ilm/policy/{name}"), json!({"policy": {"phases": phases}}))
        }
        Family::OpenSearch => {
            let rollover = json!([{"rollover": {"min_index_age": "1d", "min_size": "50gb"}}]);
            let hot = if rolls { rollover } else { json!([]) };
            let patterns = [pattern(place, false), pattern(place, true)];
            let patterns = patterns.map(|name| if rolls { format!(".ds-{name}-*") } else { name });
            let policy = json!({
                "description": "made by heapster once, and never changed by it",
                "default_state": "hot",
                "states": [
                    {"name": "hot", "actions": hot, "transitions": [
                        {"state_name": "delete", "conditions": {"min_index_age": age}}]},
                    {"name": "delete", "actions": [{"delete": {}}], "transitions": []},
                ],
                "ism_template": [{"index_patterns": patterns, "priority": PRIORITY}],
            });
            (format!("/_plugins/_ism/policies/{name}"), json!({"policy": policy}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(spec: &str) -> Settings {
        super::super::options::take(&mut spec.parse().unwrap()).unwrap().2
    }

    /// The two families do not know each other's settings: one that is not known fails the whole
    /// template.
    #[test]
    fn retention_is_asked_for_in_each_familys_words() {
        let settings = settings("elasticsearch?retention=30d");
        let retention = settings.retention.unwrap();
        let of = |family| policy(family, &settings, retention);
        let name = |family| {
            let template = template(family, &settings, false);
            template["template"]["settings"]["index.lifecycle.name"].clone()
        };
        let (path, policy) = of(Family::Elasticsearch);
        assert_eq!(path, "/_ilm/policy/heapster");
        assert_eq!(policy["policy"]["phases"]["delete"]["min_age"], "720h");
        assert_eq!(name(Family::Elasticsearch), "heapster");
        let (path, policy) = of(Family::OpenSearch);
        assert_eq!(path, "/_plugins/_ism/policies/heapster");
        let patterns = &policy["policy"]["ism_template"][0]["index_patterns"];
        assert_eq!(patterns, &json!([".ds-heapster-metrics-*", ".ds-heapster-events-*"]));
        assert_eq!(name(Family::OpenSearch), Value::Null);
    }

    /// Two templates of one priority that are for one name are refused.
    #[test]
    fn daily_indices_have_templates_that_do_not_meet() {
        let settings = settings("elasticsearch?index=k8s");
        let of = |events| template(Family::Elasticsearch, &settings, events);
        assert_eq!(of(false)["index_patterns"], json!(["k8s-2*"]));
        assert_eq!(of(true)["index_patterns"], json!(["k8s-events-2*"]));
        assert_eq!(of(false)["data_stream"], Value::Null);
    }
}
