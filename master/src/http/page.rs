//! `/`: a plain status page, made whole on the server.

use std::fmt::Write as _;

use actix_web::{HttpResponse, web};
use heapster_shared::tick;

use super::{
    AppState,
    error::ApiError,
    html::{ago, cores, count, escape, size, span},
    validate::is_ill,
};
use crate::{
    actors::model::messages::ReadOverview,
    core::model::{NodeNow, Overview, Top},
    status::{ClusterStatus, SinkStatus},
};

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;\
color:#1c2733;background:#fff}h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}\
table{border-collapse:collapse;width:100%;margin:.6em 0 1.4em}\
th,td{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid #e3e8ee;\
vertical-align:middle}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}\
.bar{background:#e3e8ee;width:9em;height:.7em;border-radius:.35em;overflow:hidden}\
.bar i{display:block;height:100%;background:#2f7fd1}.bar i.hot{background:#d1462f}\
.bad{color:#b3261e;font-weight:600}.dim{color:#66727f}\
@media(prefers-color-scheme:dark){body{background:#14191f;color:#dfe6ee}\
th,td{border-color:#2b343e}.bar{background:#2b343e}a{color:#7db6f0}.bad{color:#ff8a80}}";

/// The page asks for nothing else, and nothing in it may run.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Containers listed of each kind.
const TOP: usize = 10;
/// Nodes listed of a cluster.
const NODES_SHOWN: usize = 200;

/// The page.
pub(super) async fn answer(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let (clusters, sinks) = futures::join!(state.clusters(), state.sinks());
    let now_ms = tick::unix_ms();
    let mut body = String::new();
    let clusters = clusters?;
    if clusters.is_empty() {
        body.push_str("<p>No buddy has connected yet.</p>");
    }
    for cluster in &clusters {
        let question = ReadOverview { cluster: Some(cluster.name.clone()), top: TOP };
        // A cluster that the model does not have yet has no nodes to show.
        let overview = state.model.ask(question).await?.unwrap_or_default();
        write_cluster(&mut body, cluster, &overview, now_ms);
    }
    write_sinks(&mut body, &sinks?, now_ms);
    let answer = HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("Content-Security-Policy", CONTENT_POLICY))
        .body(frame(&state, &body));
    Ok(answer)
}

fn frame(state: &AppState, body: &str) -> String {
    let uptime = i64::try_from(state.started.elapsed().as_secs()).unwrap_or(i64::MAX);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"15\"><title>Heapster</title>\
         <style>{STYLE}</style></head><body><h1>Heapster</h1>\
         <p class=\"dim\">version {}, up {}</p>{body}\
         <h2>More</h2><p><a href=\"/validate\">how everything is</a> · \
         <a href=\"/api/v1/model/\">model</a> · <a href=\"/api/v1/clusters\">clusters</a> · \
         <a href=\"/api/v1/buddies\">buddies</a> · <a href=\"/api/v1/sinks\">sinks</a> · \
         <a href=\"/debug/actors\">actors</a> · <a href=\"/metrics\">metrics</a> · \
         <a href=\"/api/v1/openapi.json\">API description</a></p></body></html>",
        escape(state.version),
        span(uptime),
    )
}

fn write_cluster(body: &mut String, cluster: &ClusterStatus, overview: &Overview, now_ms: i64) {
    let failed = cluster
        .hosts
        .iter()
        .filter(|host| host.state.as_ref().is_some_and(|state| !state.ok))
        .count();
    let failed = if failed == 0 {
        String::new()
    } else {
        format!(", <a class=\"bad\" href=\"/validate\">{failed} failing</a>")
    };
    let _ = write!(
        body,
        "<h2>Cluster {}</h2><p>{}, {}{failed}, {}, last rows {}</p>",
        escape(&cluster.name),
        count(cluster.buddies, "buddy"),
        count(cluster.hosts.len(), "host"),
        count(cluster.entities, "entity"),
        ago(now_ms, cluster.received_unix_ms),
    );
    write_nodes(body, &cluster.name, &overview.nodes, now_ms);
    write_top(body, "CPU", &overview.top_cpu, cores);
    write_top(body, "memory", &overview.top_memory, size);
}

fn write_nodes(body: &mut String, cluster: &str, nodes: &[NodeNow], now_ms: i64) {
    if nodes.is_empty() {
        body.push_str("<p class=\"dim\">No rows yet.</p>");
        return;
    }
    body.push_str(
        "<table><tr><th>Node</th><th>CPU</th><th></th><th>Memory</th><th></th>\
         <th>Containers</th><th>Sample</th></tr>",
    );
    for node in nodes.iter().take(NODES_SHOWN) {
        let link = format!(
            "/api/v1/clusters/{}/model/nodes/{}/metrics/",
            encode(cluster),
            encode(&node.name)
        );
        let _ = write!(
            body,
            "<tr><td><a href=\"{link}\">{}</a></td>{}{}<td class=\"n\">{}</td>\
             <td class=\"n dim\">{}</td></tr>",
            escape(&node.name),
            usage_cells(node.cpu_millicores, node.cpu_capacity, cores),
            usage_cells(node.memory_bytes, node.memory_capacity, size),
            node.containers,
            ago(now_ms, node.time_ms),
        );
    }
    body.push_str("</table>");
    if nodes.len() > NODES_SHOWN {
        let _ = write!(body, "<p class=\"dim\">and {} more nodes</p>", nodes.len() - NODES_SHOWN);
    }
}

/// A number and, where the whole is known, a bar.
fn usage_cells(used: Option<f64>, whole: Option<f64>, write: fn(f64) -> String) -> String {
    let Some(used) = used else { return "<td class=\"dim\">–</td><td></td>".to_owned() };
    let Some(whole) = whole.filter(|whole| *whole > 0.0) else {
        return format!("<td class=\"n\">{}</td><td></td>", write(used));
    };
    let percent = (used / whole * 100.0).clamp(0.0, 100.0);
    let class = if percent >= 90.0 { " class=\"hot\"" } else { "" };
    format!(
        "<td class=\"n\">{} of {}</td><td><div class=\"bar\" title=\"{percent:.0} %\">\
         <i{class} style=\"width:{percent:.0}%\"></i></div></td>",
        write(used),
        write(whole)
    )
}

fn write_top(body: &mut String, what: &str, top: &[Top], write: fn(f64) -> String) {
    if top.is_empty() {
        return;
    }
    let _ = write!(body, "<table><tr><th>Most {what}</th><th></th><th></th><th>Node</th></tr>");
    let greatest = top.first().map_or(1, |top| top.value) as f64;
    for container in top {
        let value = container.value as f64;
        let _ = write!(
            body,
            "<tr><td>{}</td><td class=\"n\">{}</td><td><div class=\"bar\">\
             <i style=\"width:{:.0}%\"></i></div></td><td class=\"dim\">{}</td></tr>",
            escape(&container.name),
            write(value),
            value / greatest * 100.0,
            escape(&container.node),
        );
    }
    body.push_str("</table>");
}

fn write_sinks(body: &mut String, sinks: &[SinkStatus], now_ms: i64) {
    body.push_str(
        "<h2>Sinks</h2><table><tr><th>Sink</th><th>State</th><th>Delivered</th>\
         <th>Dropped</th><th>Last write</th><th>Last error</th></tr>",
    );
    for sink in sinks {
        let class = if is_ill(sink) { " class=\"bad\"" } else { "" };
        let error = match sink.last_error.as_str() {
            "" => String::new(),
            error => format!("{} ({})", escape(error), ago(now_ms, sink.last_error_unix_ms)),
        };
        let _ = write!(
            body,
            "<tr><td>{}</td><td{class}>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td>{error}</td></tr>",
            escape(&sink.name),
            escape(&sink.state),
            sink.delivered,
            sink.dropped,
            ago(now_ms, sink.written_unix_ms),
        );
    }
    body.push_str("</table>");
}

/// A name as one segment of a path, fit for an attribute too.
fn encode(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
