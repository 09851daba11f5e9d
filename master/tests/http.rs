//! The HTTP API, asked over a socket.
#![allow(clippy::unwrap_used)] // the helpers of these tests are tests too

mod http {
    mod containers;
    mod contradictions;
    pub(crate) mod world;
}

use std::sync::atomic::Ordering;

use heapster_shared::tick::rfc3339;
use http::world::{Parts, SERVICE, World, is_double, many_nodes, sink, troubled_parts, values};
use serde_json::{Value, json};

const NODE: &str = "/api/v1/model/nodes/node-a";

/// The answers that dashboards and scripts of the ancestor expect, with values of the right type:
/// half a core is 500 millicores, a quarter is 0.25.
#[actix::test]
async fn the_model_answers_as_the_ancestor_did() {
    let world = World::lab().await;
    assert_eq!(world.json("/api/v1/model/nodes/").await, json!(["node-a"]));
    assert_eq!(world.json("/api/v1/model/namespaces").await, json!(["default"]));
    let pods = "/api/v1/model/namespaces/default/pods";
    assert_eq!(world.json(&format!("{pods}/")).await, json!(["web-1"]));
    assert_eq!(world.json(&format!("{pods}/web-1/containers/")).await, json!(["<main>"]));
    assert_eq!(world.json(&format!("{NODE}/freecontainers/")).await, json!([SERVICE]));

    let newest = rfc3339(world.now_ms);
    let before = rfc3339(world.now_ms - 15_000);
    let series = world.json(&format!("{NODE}/metrics/cpu/usage_rate")).await;
    let points = json!([
        { "timestamp": before, "value": 500 },
        { "timestamp": newest, "value": 500 },
    ]);
    assert_eq!(series, json!({ "metrics": points, "latestTimestamp": newest }));
    assert!(newest.ends_with('Z'));
    let ratio = world.json(&format!("{NODE}/metrics/cpu/node_utilization")).await;
    assert_eq!(values(&ratio), [0.25, 0.25, 0.25]);
}

#[actix::test]
async fn everything_has_metrics() {
    let world = World::lab().await;
    let namespace = "/api/v1/model/namespaces/default";
    for thing in [
        "/api/v1/model",
        NODE,
        namespace,
        &format!("{namespace}/pods/web-1"),
        &format!("{namespace}/pods/web-1/containers/%3Cmain%3E"),
    ] {
        let names = world.json(&format!("{thing}/metrics/")).await;
        assert!(names.as_array().unwrap().contains(&json!("cpu/usage_rate")), "{thing}: {names}");
        let series = world.json(&format!("{thing}/metrics/memory/usage")).await;
        assert_eq!(values(&series), [4096, 4097, 4098], "{thing}");
    }
    let keys = world.json("/api/v1/model/debug/allkeys").await;
    let wanted = json!([
        "cluster",
        "namespace:default",
        "namespace:default/pod:web-1",
        "namespace:default/pod:web-1/container:<main>",
        "node:node-a",
        "node:node-a/container:/system.slice/docker.service"
    ]);
    assert_eq!(keys, wanted);
}

/// A cgroup's name is a path: encoded, raw, and as a proxy that shortens `//` leaves it.
#[actix::test]
async fn a_container_may_have_slashes_in_its_name() {
    let world = World::lab().await;
    for name in [
        "%2Fsystem.slice%2Fdocker.service",
        "/system.slice/docker.service",
        "system.slice/docker.service",
    ] {
        let series =
            world.json(&format!("{NODE}/freecontainers/{name}/metrics/memory/usage")).await;
        assert_eq!(values(&series).len(), 3, "{name}");
    }
}

/// Pods are answered in the order of the question; one that is not there has no values, and where
/// none is there that is an error.
#[actix::test]
async fn a_list_of_pods_keeps_its_order() {
    let world = World::lab().await;
    let list = "/api/v1/model/namespaces/default/pod-list";
    let answer = world.json(&format!("{list}/nope,web-1/metrics/memory/usage")).await;
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items[0], json!({ "metrics": [], "latestTimestamp": "0001-01-01T00:00:00Z" }));
    assert_eq!(values(&items[1]), [4096, 4097, 4098]);
    let (status, sentence) = world.error(&format!("{list}/nope/metrics/memory/usage")).await;
    assert_eq!(status, 404);
    assert!(sentence.contains("no pod `nope`") && sentence.contains("web-1"), "{sentence}");
}

#[actix::test]
async fn spans_and_labels_choose() {
    let world = World::lab().await;
    let path = format!("{NODE}/metrics/memory/usage");
    let (start, end) = (rfc3339(world.now_ms - 15_000), rfc3339(world.now_ms - 1));
    let series = world.json(&format!("{path}?start={start}&end={end}")).await;
    assert_eq!(values(&series), [4097]);
    assert_eq!(series["latestTimestamp"], json!(start));
    let early = world.json(&format!("{path}?end=2001-01-01T00:00:00Z")).await;
    assert_eq!(early, json!({ "metrics": [], "latestTimestamp": "0001-01-01T00:00:00Z" }));

    let disk = format!("{NODE}/metrics/filesystem/usage");
    let logs = world.json(&format!("{disk}?labels=resource_id:logs")).await;
    assert_eq!(values(&logs), [200, 200, 200]);
    let (status, sentence) = world.error(&disk).await;
    assert_eq!(status, 400);
    assert!(sentence.contains("?labels=resource_id:/"), "{sentence}");
    for wrong in ["?start=yesterday", "?labels=resource_id", "?start=1&start=2"] {
        assert_eq!(world.error(&format!("{path}{wrong}")).await.0, 400, "{wrong}");
    }
}

#[actix::test]
async fn what_is_not_there_is_said() {
    let world = World::lab().await;
    for (path, words) in [
        ("/api/v1/model/nodes/nope/metrics/cpu/usage", ["no node `nope`", "node-a"]),
        ("/api/v1/model/nodes/node-a/metrics/cpu/none", ["no metric `cpu/none`", "memory/usage"]),
        ("/api/v1/model/namespaces/nope/pods/", ["no namespace `nope`", "default"]),
        ("/api/v1/clusters/nope/model/nodes/", ["no cluster `nope`", "lab"]),
        ("/api/v1/metric-export?cluster=nope", ["no cluster `nope`", "lab"]),
        ("/api/v1/model/nothing", ["/api/v1/openapi.json", "page is at /"]),
        ("/nowhere", ["/api/v1/openapi.json", "page is at /"]),
    ] {
        let (status, sentence) = world.error(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(words.iter().all(|word| sentence.contains(word)), "{path}: {sentence}");
    }
    let empty = World::new(&[], Parts::default()).await;
    let (status, sentence) = empty.error("/api/v1/model/nodes/").await;
    assert_eq!(status, 404);
    assert!(sentence.contains("no rows have come yet"), "{sentence}");
}

/// With several clusters one has to be named, in the path or as a parameter.
#[actix::test]
async fn several_clusters_are_told_apart() {
    let world = World::new(&["east", "west"], Parts::default()).await;
    let (status, sentence) = world.error("/api/v1/model/nodes/").await;
    assert_eq!(status, 400);
    assert!(sentence.contains("?cluster=east") && sentence.contains("west"), "{sentence}");
    for path in ["/api/v1/model/nodes/?cluster=west", "/api/v1/clusters/west/model/nodes/"] {
        assert_eq!(world.json(path).await, json!(["node-a"]));
    }
    assert_eq!(world.error("/api/v1/metric-export").await.0, 400);
    let export = world.json("/api/v1/clusters/east/metric-export").await;
    assert_eq!(export.as_array().unwrap().len(), 4);
}

/// What changes something is told from what can be read; a list of sinks is taken from nobody who was
/// not asked who he is, and a web page changes nothing.
#[actix::test]
async fn what_changes_something_is_guarded() {
    let world = World::lab().await;
    for (path, allowed) in
        [("/api/v1/sinks", "GET, HEAD, OPTIONS, POST"), ("/api/v1/reload", "OPTIONS, POST")]
    {
        assert_eq!(world.request("OPTIONS", path).await.headers()["allow"], allowed);
        let delete = world.request("DELETE", path).await;
        assert_eq!(
            (delete.status().as_u16(), &delete.headers()["allow"]),
            (405, &allowed.parse().unwrap())
        );
    }
    assert_eq!(world.request("GET", "/api/v1/reload").await.status(), 405);
    let reload = world.request("POST", "/api/v1/reload").await;
    assert_eq!(reload.status(), 409, "nothing here can be changed");
    let sinks = world.request("POST", "/api/v1/sinks").await;
    assert_eq!(sinks.status(), 403);
    assert!(sinks.text().await.unwrap().contains("--credentials"));
    let page = world.request_from("POST", "/api/v1/reload", "http://127.0.0.1:8082").await;
    assert_eq!(page.status(), 403);
    assert!(page.text().await.unwrap().contains("web page"));
}

#[actix::test]
async fn methods_are_those_of_reading() {
    let world = World::lab().await;
    for path in ["/healthz", "/api/v1/model/nodes/", "/api/v1/clusters"] {
        let post = world.request("POST", path).await;
        assert_eq!(post.status(), 405, "{path}");
        assert_eq!(post.headers()["allow"], "GET, HEAD, OPTIONS");
        assert_eq!(world.request("OPTIONS", path).await.status(), 204);
        let head = world.request("HEAD", path).await;
        assert_eq!(head.status(), 200, "{path}");
        assert_eq!(head.text().await.unwrap(), "");
    }
}

fn recorded(name: &str) -> Value {
    let path = format!("{}/testdata/heapster-1.5.4/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Which of the four kinds of things an entry of the export is.
fn kind(entry: &Value) -> &str {
    let labels = &entry["labels"];
    match labels["container_name"].as_str().unwrap() {
        name @ ("machine" | "/pod") => name,
        _ if labels["pod_name"].is_null() => "free",
        _ => "container",
    }
}

/// Each kind of thing that the ancestor exported is exported with at least the labels it had, and
/// values have the same fields.
#[actix::test]
async fn the_export_has_the_shape_of_the_recorded_one() {
    let world = World::lab().await;
    let export = world.json("/api/v1/metric-export").await;
    for theirs in recorded("metric-export.json").as_array().unwrap() {
        let same_kind = |ours: &&Value| kind(ours) == kind(theirs);
        let ours = export.as_array().unwrap().iter().find(same_kind).unwrap();
        for (label, value) in theirs["labels"].as_object().unwrap() {
            // The ancestor wrote empty labels too.
            let there = !ours["labels"][label].is_null();
            assert!(there || value == "", "{}: no label {label}", kind(theirs));
        }
        for (ours, theirs) in [
            (&ours["metrics"]["cpu/usage"][0], &theirs["metrics"]["cpu/usage"][0]),
            (&ours["metrics"]["memory/usage"][0], &theirs["metrics"]["memory/usage"][0]),
        ] {
            let keys = |value: &Value| value.as_object().map(|it| it.keys().cloned().collect());
            let keys: [Option<Vec<String>>; 2] = [keys(ours), keys(theirs)];
            // A pod has no cpu/usage there.
            assert!(theirs.is_null() || keys[0] == keys[1], "{ours} and {theirs}");
        }
        let disks = ours["metrics"]["filesystem/usage"].as_array().unwrap();
        assert_eq!(disks[1]["labels"], json!({ "resource_id": "logs" }));
        let usage = &ours["metrics"]["cpu/usage"][0];
        assert_eq!(usage["start"], json!(rfc3339(world.now_ms - 600_000)));
        assert_eq!(usage["end"], json!(rfc3339(world.now_ms)));
    }
}

/// An export of several pages is one array with everything in it, once.
#[actix::test]
async fn a_big_export_is_whole() {
    let world = World::new(&[], Parts::default()).await;
    world.offer(many_nodes(4_500, world.now_ms)).await;
    let export = world.json("/api/v1/metric-export").await;
    let names = export.as_array().unwrap().iter().map(|entry| entry["labels"]["nodename"].as_str());
    let names: std::collections::HashSet<_> = names.map(Option::unwrap).collect();
    assert_eq!((export.as_array().unwrap().len(), names.len()), (4_500, 4_500));
}

/// Every metric and label of the ancestor's schema is in ours, with the same type and fields.
#[actix::test]
async fn the_schema_has_what_the_recorded_one_had() {
    let world = World::lab().await;
    let ours = world.json("/api/v1/metric-export-schema").await;
    let theirs = recorded("metric-export-schema.json");
    for metric in theirs["metrics"].as_array().unwrap() {
        let same = |ours: &&Value| ours["name"] == metric["name"];
        let found = ours["metrics"].as_array().unwrap().iter().find(same);
        let found = found.unwrap_or_else(|| panic!("no {}", metric["name"]));
        assert_eq!(found["type"], metric["type"], "{}", metric["name"]);
        assert_eq!(found["value_type"], metric["value_type"], "{}", metric["name"]);
        let keys = |value: &Value| -> Vec<Value> {
            let labels = value["labels"].as_array().cloned().unwrap_or_default();
            labels.iter().map(|label| label["key"].clone()).collect()
        };
        assert_eq!(keys(found), keys(metric));
        let double = is_double(metric["name"].as_str().unwrap());
        assert_eq!(metric["value_type"] == "double", double);
    }
    for group in ["common_labels", "pod_labels"] {
        let keys: Vec<_> =
            ours[group].as_array().unwrap().iter().map(|label| &label["key"]).collect();
        for label in theirs[group].as_array().unwrap() {
            assert!(keys.contains(&&label["key"]), "{group}: {label}");
        }
    }
}

/// Every path of the document answers, and what it refers to is in it.
#[actix::test]
async fn every_documented_path_answers() {
    let world = World::new(&["lab"], troubled_parts(0)).await;
    let document = world.json("/api/v1/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 50, "{}", paths.len());
    for (path, item) in paths {
        if item.get("get").is_none() {
            assert_eq!(path, "/api/v1/reload");
            assert!(item["post"]["responses"]["200"].is_object());
            continue;
        }
        let filled = path
            .replace("{cluster}", "lab")
            .replace("{node}", "node-a")
            .replace("{namespace}", "default")
            .replace("{pods}", "web-1")
            .replace("{pod}", "web-1")
            .replace("{metric}", "memory/usage");
        let container = if path.contains("freecontainers") { SERVICE } else { "%3Cmain%3E" };
        let filled = filled.replace("{container}", container);
        assert!(!filled.contains('{'), "{filled}");
        let (status, text) = world.text(&filled).await;
        assert_eq!(status, 200, "{filled}: {text}");
        let response = &item["get"]["responses"]["200"]["content"];
        let (content_type, _) = response.as_object().unwrap().iter().next().unwrap();
        let head = world.request("HEAD", &filled).await;
        let given = head.headers()["content-type"].to_str().unwrap();
        assert!(given.starts_with(content_type), "{filled}: {given}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in document.to_string().split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[actix::test]
async fn the_page_shows_what_there_is_and_escapes_it() {
    let now_ms = heapster_shared::tick::unix_ms();
    let world = World::new(&["lab"], troubled_parts(now_ms)).await;
    let (status, page) = world.text("/").await;
    assert_eq!(status, 200);
    for words in [
        "Cluster lab",
        "node-a",
        "0.50 cores <span class=\"dim\">of 4 cores</span>",
        "12 % of 4 cores",
        "Something is wrong",
        "4.0 KiB",
        "default/web-1/&lt;main&gt;",
        "influxdb:http://db",
        "no route to &quot;db&quot;",
        "1 failing",
    ] {
        assert!(page.contains(words), "no {words} in {page}");
    }
    assert!(!page.contains("web-1/<main>"));
    let response = world.request("GET", "/").await;
    assert!(response.headers().contains_key("content-security-policy"));
}

/// What is wrong comes first, a sink before a host.
#[actix::test]
async fn validate_begins_with_what_is_wrong() {
    let now_ms = heapster_shared::tick::unix_ms();
    let world = World::new(&["lab"], troubled_parts(now_ms)).await;
    let (_, text) = world.text("/validate").await;
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words} in {text}"));
    let order = [
        "4 problems",
        "sink influxdb:http://db is failing: no route to \"db\"",
        "discovery static:hosts.json: line 3, column 1",
        "events of kubernetes: the API server says 403",
        "host node-b: connection refused",
        "\nclusters\n",
        "host node-b: FAILED",
        "host node-a: ok in 12 ms by cadvisor",
        "\nbuddies\n",
        "events of kubernetes: FAILED, 20 observed, 4 deduplicated, 9 sent, 7 dropped",
        "\nsinks\n",
        "\nmodel\n",
    ];
    let places = order.map(place);
    assert!(places.is_sorted(), "{text}");
    let calm = World::lab().await;
    assert!(calm.text("/validate").await.1.contains("no buddy has connected yet"));
}

/// A strict reader of the text format: families one after the other, each named and typed before
/// its samples, no series twice, every counter's name with `_total`.
fn parse_exposition(text: &str) -> std::collections::HashMap<String, f64> {
    let mut series = std::collections::HashMap::new();
    let mut families = std::collections::HashSet::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned()), "{name} comes twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            name.clone_into(&mut family);
        } else if !line.starts_with("# HELP ") {
            let (id, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = id.split_once('{').unwrap_or((id, "}"));
            assert_eq!(name, family, "{line}");
            let labels = labels.strip_suffix('}').unwrap();
            assert_eq!(labels.replace("\\\"", "").matches('"').count() % 2, 0, "{line}");
            let value = value.parse().unwrap();
            assert!(series.insert(id.to_owned(), value).is_none(), "{id} comes twice");
        }
    }
    series
}

/// Two sinks of one server have names of their own, or Prometheus would refuse the whole page.
#[actix::test]
async fn metrics_are_an_exposition() {
    let mut parts = troubled_parts(1_000);
    parts.sinks.push(sink("log", "ok", ""));
    let world = World::new(&["lab"], parts).await;
    let response = world.request("GET", "/metrics").await;
    assert!(response.headers()["content-type"].to_str().unwrap().contains("version=0.0.4"));
    let series = parse_exposition(&response.text().await.unwrap());
    for (id, value) in [
        ("heapster_sink_delivered_samples_total{sink=\"log#2\",kind=\"log\"}", 8.0),
        ("heapster_sink_filtered_samples_total{sink=\"log#2\",kind=\"log\"}", 4.0),
        (
            "heapster_sink_dropped_samples_total{sink=\"log#2\",kind=\"log\",reason=\"queue_full\"}",
            1.0,
        ),
        ("heapster_cluster_hosts{cluster=\"lab\",state=\"failed\"}", 1.0),
        ("heapster_buddy_clock_offset_seconds{cluster=\"lab\",buddy=\"b1\"}", -0.02),
        ("heapster_cluster_events_total{cluster=\"lab\"}", 9.0),
        ("heapster_events_ok{cluster=\"lab\",buddy=\"b1\",observer=\"kubernetes\"}", 0.0),
        (
            "heapster_events_deduplicated_total{cluster=\"lab\",buddy=\"b1\",observer=\"kubernetes\"}",
            4.0,
        ),
        (
            "heapster_events_dropped_total{cluster=\"lab\",buddy=\"b1\",observer=\"kubernetes\"}",
            7.0,
        ),
        ("heapster_model_rows_total{outcome=\"taken\"}", 18.0),
        ("heapster_actor_restarts_total{actor=\"supervisor\"}", 1.0),
    ] {
        assert_eq!(series.get(id), Some(&value), "{id}");
    }
    assert!(series["process_resident_memory_bytes"] > 1e6);
    assert!(series["process_cpu_seconds_total"] >= 0.0);
}

#[actix::test]
async fn readiness_ends_before_the_program_does() {
    let world = World::lab().await;
    assert_eq!(world.text("/readyz").await, (200, "ok".into()));
    assert_eq!(world.text("/healthz/").await, (200, "ok".into()));
    world.state.ready.store(false, Ordering::Release);
    assert_eq!(world.text("/readyz").await.0, 503);
    assert_eq!(world.text("/healthz").await.0, 200);
}

/// A part that never answers costs its page a sentence, not the client's patience; pages that do
/// not ask it are as fast as ever.
#[actix::test]
async fn a_stuck_part_does_not_hang_the_page() {
    let world = World::new(&["lab"], Parts { stuck: true, ..Parts::default() }).await;
    let pages = ["/api/v1/clusters", "/api/v1/sinks", "/metrics", "/validate", "/"];
    let answers = futures::future::join_all(pages.map(|page| world.error(page))).await;
    for (page, (status, sentence)) in pages.iter().zip(answers) {
        assert_eq!(status, 503, "{page}");
        assert!(sentence.contains("did not say how they are"), "{page}: {sentence}");
    }
    let (status, sentence) = world.text("/healthz").await;
    assert_eq!(status, 500, "{sentence}");
    assert_eq!(world.json("/api/v1/model/nodes/").await, json!(["node-a"]));
}

#[actix::test]
async fn answers_are_compressed_for_who_can_read_it() {
    let world = World::lab().await;
    // The client asks for gzip and unpacks it, and takes the header away when it did.
    let response = world.request("GET", "/api/v1/metric-export-schema").await;
    assert_eq!(response.headers()["vary"], "accept-encoding");
    assert!(!response.headers().contains_key("content-length"));
    assert!(response.json::<Value>().await.unwrap()["metrics"].is_array());
}
