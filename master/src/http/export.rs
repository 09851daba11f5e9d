//! `metric-export`: the newest row of everything, streamed a few nodes at a time, so that a big
//! cluster is never in memory as text.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use bytes::Bytes;
use futures::stream;
use heapster_shared::{entity::Level, schema::Kind, tag, tick::rfc3339};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use utoipa::ToSchema;

use super::{AppState, error::ApiError, parameters::Parameters};
use crate::{
    actors::model::{ModelHandle, messages::ReadPage},
    core::model::{NewestRow, Page},
};

/// The newest values of a thing.
#[derive(Serialize, ToSchema)]
pub(super) struct ExportEntry<'a> {
    /// Values by name of metric; several where the metric has one a device or volume.
    metrics: BTreeMap<&'a str, Vec<ExportPoint>>,
    /// What the thing is.
    labels: BTreeMap<&'a str, &'a str>,
}

/// A value.
#[derive(Serialize, ToSchema)]
pub(super) struct ExportPoint {
    /// Counters count from here; of gauges the same as `end`.
    start: String,
    /// When it was taken.
    end: String,
    /// The device or volume.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = Object)]
    labels: serde_json::Value,
    /// The number.
    #[schema(value_type = f64)]
    value: serde_json::Value,
}

impl<'a> ExportEntry<'a> {
    /// `None` for sums, which the ancestor left out.
    fn of(row: &'a NewestRow) -> Option<Self> {
        let mut labels = BTreeMap::new();
        match row.entity.level {
            Level::Cluster | Level::Namespace => return None,
            // Agents know machines and pods by these.
            Level::Node => _ = labels.insert(tag::CONTAINER_NAME, "machine"),
            Level::Pod => _ = labels.insert(tag::CONTAINER_NAME, "/pod"),
            Level::PodContainer | Level::SysContainer => {}
        }
        tag::visit(&row.entity, |name, value| {
            labels.entry(name).or_insert(value);
        });
        Some(Self { metrics: points(row), labels })
    }
}

fn points(row: &NewestRow) -> BTreeMap<&str, Vec<ExportPoint>> {
    let end = rfc3339(row.time_ms);
    let start = match row.entity.start_time_ms {
        0 => end.clone(),
        start => rfc3339(start),
    };
    let mut metrics: BTreeMap<&str, Vec<ExportPoint>> = BTreeMap::new();
    for (field, cell) in row.layout.fields().iter().zip(&row.cells) {
        if cell.is_absent() {
            continue;
        }
        let cumulative = field.metric.kind() == Kind::Cumulative;
        let labels = field.labels.as_ref().and_then(|labels| serde_json::to_value(labels).ok());
        metrics.entry(field.metric.name()).or_default().push(ExportPoint {
            start: if cumulative { start.clone() } else { end.clone() },
            end: end.clone(),
            labels: labels.unwrap_or_default(),
            value: cell.to_json(field.metric.value_type()),
        });
    }
    metrics
}

/// The newest row of each node, pod and container.
pub(super) async fn answer(
    request: HttpRequest,
    state: web::Data<AppState>,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    let in_path = request.match_info().get("cluster");
    let in_path = in_path.map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
    let cluster = in_path.or_else(|| parameters.cluster.clone());
    let model = state.model.clone();
    // The first page is asked for before the answer starts, while it can still be an error.
    let first = model.ask(ReadPage { cluster: cluster.clone(), from: 0 }).await??;
    let writer = Writer { model, cluster, page: Some(first), opened: false, entries: 0 };
    let body = stream::unfold(writer, |mut writer| async move {
        let chunk = writer.next().await?;
        Some((chunk, writer))
    });
    Ok(HttpResponse::Ok().content_type(header::ContentType::json()).streaming(body))
}

/// Turns pages into the text of one array.
struct Writer {
    model: ModelHandle,
    cluster: Option<String>,
    /// The page to write next; `None` when the array has been closed.
    page: Option<Page>,
    opened: bool,
    entries: u64,
}

impl Writer {
    async fn next(&mut self) -> Option<Result<Bytes, ApiError>> {
        let page = self.page.take()?;
        let mut text = match self.write(&page.rows) {
            Ok(text) => text,
            Err(error) => return Some(Err(ApiError::unavailable(error.to_string()))),
        };
        let Some(from) = page.next else {
            text.extend_from_slice(b"]\n");
            return Some(Ok(text.into()));
        };
        // An error ends the answer in its middle, so that the client sees that it is not whole.
        let question = ReadPage { cluster: self.cluster.clone(), from };
        match self.model.ask(question).await {
            Ok(Ok(next)) => self.page = Some(next),
            Ok(Err(error)) => return Some(Err(error.into())),
            Err(error) => return Some(Err(error.into())),
        }
        Some(Ok(text.into()))
    }

    fn write(&mut self, rows: &[NewestRow]) -> serde_json::Result<Vec<u8>> {
        let mut text = Vec::new();
        if !self.opened {
            text.push(b'[');
            self.opened = true;
        }
        for entry in rows.iter().filter_map(ExportEntry::of) {
            if self.entries > 0 {
                text.push(b',');
            }
            self.entries += 1;
            serde_json::to_writer(&mut text, &entry)?;
        }
        Ok(text)
    }
}
