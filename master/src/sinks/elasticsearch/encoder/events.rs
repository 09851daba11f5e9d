//! Events as pairs of lines of a bulk request.

use serde_json::json;

use super::{Encoder, action};
use crate::{
    delivery::EventBatch,
    sinks::{event_json::as_in_kubernetes, json_text, labels::CLUSTER_NAME},
};

impl Encoder {
    /// Appends the documents of a batch of events. An event that is told again has the same id, and one
    /// that happened again another.
    pub(in super::super) fn push_events(&mut self, batch: &EventBatch) {
        let cluster = self.settings.cluster_name.as_deref().unwrap_or(&batch.cluster).to_owned();
        let label = self.rules.name(CLUSTER_NAME).map(str::to_owned);
        for event in &batch.events {
            let content = as_in_kubernetes(event);
            let id = json_text::digest([cluster.as_bytes(), content.to_string().as_bytes()]);
            let mut document = json!({"@timestamp": event.last_unix_ms, "event": content});
            if let Some(label) = label.as_ref().filter(|_| !cluster.is_empty()) {
                document["labels"] = json!({super::without_dots(label): cluster});
            }
            let out = &mut self.body.text;
            action(&self.settings.place, true, &mut self.day, event.last_unix_ms, out);
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(b"\"}}\n");
            out.extend_from_slice(document.to_string().as_bytes());
            out.push(b'\n');
            self.end_document(1);
        }
    }
}
