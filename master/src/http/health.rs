//! `/healthz`: whether rows come. `/readyz`: whether new work is welcome.

use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode, web};
use heapster_shared::tick;

use super::AppState;
use crate::{actors::model::messages::ListClusters, status::ClusterStatus};

/// Without rows for longer than this something is wrong; as in the ancestor.
const PATIENCE: Duration = Duration::from_secs(180);

fn text(status: StatusCode, sentence: impl Into<String>) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(sentence.into())
}

/// `ok` while rows come, or the process is too young to tell.
pub(super) async fn healthz(state: web::Data<AppState>) -> HttpResponse {
    let verdict = match state.clusters().await {
        Ok(clusters) => verdict(&clusters, tick::unix_ms(), state.started.elapsed()),
        Err(error) => Err(error.to_string()),
    };
    match verdict {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(sentence) => text(StatusCode::INTERNAL_SERVER_ERROR, sentence),
    }
}

fn verdict(clusters: &[ClusterStatus], now_ms: i64, uptime: Duration) -> Result<(), String> {
    let received_ms = clusters.iter().map(|cluster| cluster.received_unix_ms).max().unwrap_or(0);
    let silent = u64::try_from(now_ms.saturating_sub(received_ms)).unwrap_or(0);
    if Duration::from_millis(silent) <= PATIENCE || uptime <= PATIENCE {
        return Ok(());
    }
    if let Some(silent) = clusters.iter().find(|cluster| !cluster.has_answered()) {
        return Err(format!("the cluster {} does not answer: see /validate", silent.name));
    }
    if received_ms == 0 {
        return Err("no rows have come since the start: see /validate".to_owned());
    }
    Err(format!("no rows have come for {} s: see /validate", silent / 1000))
}

/// `ok` unless the program is stopping or its model does not answer.
pub(super) async fn readyz(state: web::Data<AppState>) -> HttpResponse {
    if !state.is_ready() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the master is starting or stopping");
    }
    match state.model.ask(ListClusters).await {
        Ok(_) => text(StatusCode::OK, "ok"),
        Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(received_unix_ms: i64) -> ClusterStatus {
        ClusterStatus { name: "lab".into(), received_unix_ms, ..ClusterStatus::default() }
    }

    /// One cluster that sends is enough; a young process is given time.
    #[test]
    fn silence_is_ill_after_three_minutes() {
        let old = Duration::from_secs(3600);
        let now_ms = 10_000_000;
        let verdict_of = |received: &[i64], uptime| {
            let clusters: Vec<_> = received.iter().copied().map(cluster).collect();
            verdict(&clusters, now_ms, uptime)
        };
        assert_eq!(verdict_of(&[1, now_ms - 180_000], old), Ok(()));
        assert_eq!(verdict_of(&[], Duration::from_secs(180)), Ok(()));
        assert_eq!(
            verdict_of(&[now_ms - 181_000], old).unwrap_err(),
            "no rows have come for 181 s: see /validate"
        );
        assert!(verdict_of(&[], old).unwrap_err().starts_with("no rows have come since"));
    }
}
