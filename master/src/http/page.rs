//! `/`: how everything is, on one page that is made whole on the server.

mod cluster;

use std::fmt::Write as _;

use actix_web::{HttpResponse, web};

use super::{
    AppState,
    error::ApiError,
    html::{ago, escape, span, thousands},
    validate::{Findings, is_ill},
};
use crate::{actors::model::messages::ReadOverview, status::SinkStatus};

const STYLE: &str = include_str!("page/style.css");

/// The page asks for nothing else, and nothing in it may run.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Containers listed of each kind.
const TOP: usize = 10;
/// Problems listed before the page refers to `/validate`.
const PROBLEMS_SHOWN: usize = 5;

/// The page.
pub(super) async fn answer(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let findings = Findings::gather(&state).await?;
    let mut body = String::new();
    write_problems(&mut body, &findings.problems());
    for cluster in &findings.clusters {
        let question = ReadOverview { cluster: Some(cluster.name.clone()), top: TOP };
        // A cluster that the model does not have yet has no nodes to show.
        let overview = state.model.ask(question).await?.unwrap_or_default();
        cluster::write(&mut body, cluster, &overview, findings.now_ms);
    }
    write_sinks(&mut body, &findings.sinks, findings.now_ms);
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
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta http-equiv=\"refresh\" content=\"15\"><title>Heapster</title>\
         <style>{STYLE}</style></head><body><header><h1>Heapster</h1>\
         <span class=\"dim\">version {}, up {}</span></header><main>{body}</main>\
         <footer><a href=\"/validate\">how everything is</a>\
         <a href=\"/api/v1/model/\">model</a><a href=\"/api/v1/clusters\">clusters</a>\
         <a href=\"/api/v1/buddies\">buddies</a><a href=\"/api/v1/sinks\">sinks</a>\
         <a href=\"/debug/actors\">actors</a><a href=\"/metrics\">metrics</a>\
         <a href=\"/api/v1/openapi.json\">API description</a></footer></body></html>",
        escape(state.version),
        span(uptime),
    )
}

fn write_problems(body: &mut String, problems: &[String]) {
    if problems.is_empty() {
        return;
    }
    body.push_str("<div class=\"card trouble\"><h3>Something is wrong</h3><ul>");
    for problem in problems.iter().take(PROBLEMS_SHOWN) {
        let _ = write!(body, "<li>{}</li>", escape(problem));
    }
    body.push_str("</ul>");
    if problems.len() > PROBLEMS_SHOWN {
        let more = problems.len() - PROBLEMS_SHOWN;
        let _ = write!(body, "<a href=\"/validate\">and {} more</a>", thousands(more as u64));
    }
    body.push_str("</div>");
}

fn write_sinks(body: &mut String, sinks: &[SinkStatus], now_ms: i64) {
    body.push_str(
        "<h2>Sinks</h2><div class=\"card\"><table><tr><th>Sink</th><th>State</th>\
         <th class=\"n\">Samples delivered</th><th class=\"n\">Dropped</th>\
         <th class=\"n\">Last write</th><th>Last error</th></tr>",
    );
    for sink in sinks {
        let class = if is_ill(sink) { "bad" } else { "ok" };
        let error = match sink.last_error.as_str() {
            "" => String::new(),
            error => format!("{} ({})", escape(error), ago(now_ms, sink.last_error_unix_ms)),
        };
        let note = match sink.kind.as_str() {
            "model" => " <span class=\"dim\">(the past that this page shows)</span>",
            "console" => " <span class=\"dim\">(a line a tick in the terminal)</span>",
            _ if sink.required => " <span class=\"dim\">(required)</span>",
            _ => "",
        };
        let _ = write!(
            body,
            "<tr><td>{}{note}</td><td class=\"{class}\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n dim\">{}</td><td>{error}</td></tr>",
            escape(&sink.name),
            escape(&sink.state),
            thousands(sink.delivered),
            thousands(sink.dropped),
            ago(now_ms, sink.written_unix_ms),
        );
    }
    body.push_str("</table></div>");
}
