//! `/metrics/containers`: the newest row of everything for a Prometheus that would rather scrape than
//! be written to, in the text format 0.0.4 or as OpenMetrics 1.0.
//!
//! - Samples have their own times, which `timestamps=false` leaves out. Prometheus sees at once that a
//!   series without times has gone; of one with times it takes five minutes, or from version 2.48 on
//!   `track_timestamps_staleness: true`.
//! - What has no row for three ticks is left out, so that what is gone is not there for as long as the
//!   model remembers it.
//! - All series of a name stand together, as both formats have it. So the rows are read first, page by
//!   page, and held while their text is streamed; as many answers as [`AT_ONCE`] may be under way.

mod query;
mod snapshot;
mod text;

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use bytes::Bytes;
use futures::stream;
use heapster_shared::tick::{Resolution, unix_ms};

use self::{
    query::{Chosen, Query},
    snapshot::Snapshot,
    text::{Format, Text},
};
use super::{AppState, error::ApiError};
use crate::actors::model::messages::{ListClusters, ReadPage};

pub(super) use query::PARAMETERS;

/// Answers that may be under way at a time: each holds the rows that it shows.
pub(super) const AT_ONCE: usize = 4;

/// Sources may be this late whatever the resolution: a kubelet's figures are up to that old.
const SHORTEST_AGE: Duration = Duration::from_secs(30);

/// The exposition.
pub(super) async fn answer(
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<Query>,
) -> Result<HttpResponse, ApiError> {
    let chosen = query.chosen(oldest_age(state.resolution))?;
    let turn = state.exports.clone().try_acquire_owned();
    let turn = turn.map_err(|_| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{AT_ONCE} scrapes of everything are under way: scrape less often, or less"),
        )
    })?;
    let accept = request.headers().get(header::ACCEPT);
    let format = Format::accepted(accept.and_then(|accept| accept.to_str().ok()));
    let snapshot = read(&state, &chosen).await?;
    let mut text = Text::new(snapshot, format, chosen.timestamps);
    let body = stream::poll_fn(move |_| {
        // The turn lasts for as long as the rows are held.
        let _turn = &turn;
        std::task::Poll::Ready(text.next_chunk().map(Ok::<Bytes, ApiError>))
    });
    Ok(HttpResponse::Ok().content_type(format.content_type()).streaming(body))
}

fn oldest_age(resolution: Resolution) -> Duration {
    SHORTEST_AGE.max(resolution.duration() * 3)
}

/// The rows that are asked for, of one cluster or of all.
async fn read(state: &AppState, chosen: &Chosen) -> Result<Snapshot, ApiError> {
    let mut snapshot = Snapshot::default();
    let clusters = match &chosen.cluster {
        Some(cluster) => vec![cluster.clone()],
        None => state.model.ask(ListClusters).await?,
    };
    let since_ms = unix_ms().saturating_sub(chosen.max_age_ms);
    for name in clusters {
        let mut from = Some(0);
        while let Some(page) = from {
            let question = ReadPage { cluster: Some(name.clone()), from: page };
            let page = match state.model.ask(question).await? {
                Ok(page) => page,
                // It went between two questions, which only who asked for it by name has to know.
                Err(_) if chosen.cluster.is_none() => break,
                Err(error) => return Err(error.into()),
            };
            from = page.next;
            let rows = page.rows.into_iter();
            snapshot.extend(&name, rows.filter(|row| chosen.has(row, since_ms)));
        }
    }
    Ok(snapshot)
}

#[cfg(test)]
mod tests;
