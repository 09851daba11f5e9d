//! What is measured of accelerators, such as GPUs.

use std::sync::Arc;

use heapster_shared::{
    entity::Labels,
    row::Cell,
    schema::{Field, Metric, table},
};

use super::Recorder;

/// Which one it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Name<'a> {
    pub(super) make: &'a str,
    pub(super) model: &'a str,
    pub(super) id: &'a str,
}

impl Name<'_> {
    /// Records its memory, that in use, and the part of the time in which it was busy, in percent.
    pub(super) fn record<N: Clone>(&self, recorder: &mut Recorder<'_, N>, values: [Cell; 3]) {
        let Self { make, model, id } = self;
        let labels = [("make", *make), ("model", *model), ("accelerator_id", *id)];
        let labels = Arc::new(Labels::from_iter(labels));
        let metrics = [
            table::ACCELERATOR_MEMORY_TOTAL,
            table::ACCELERATOR_MEMORY_USED,
            table::ACCELERATOR_DUTY_CYCLE,
        ];
        for (metric, value) in metrics.into_iter().zip(values) {
            let labels = Some(Arc::clone(&labels));
            recorder.field(&Field { metric: Metric::Known(metric.def()), labels }, value);
        }
    }
}
