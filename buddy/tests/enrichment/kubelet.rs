//! What the recorded kubelet says, as its sources read it.

use heapster_buddy::source::{PlainReading, kubelet_bench::DocumentReader};
use heapster_shared::{row::Cell, schema::Kind};

const SUMMARY: &str = include_str!("../../testdata/enrichment/stats-summary.json");
const CADVISOR: &str = include_str!("../../testdata/kubelet/metrics_cadvisor");

/// The pods were made anew between the two recordings: what tells the later ones from the earlier.
const RENAMED: [(&str, &str); 4] = [
    ("burner-64b4dbc57f-rhb6p", "burner-6948c85555-qdgzs"),
    ("burner-64b4dbc57f-jhsq5", "burner-6948c85555-t7bgc"),
    ("101f5abc-0845-45b3-ba15-921f7cc143e3", "b5175b73-30df-4bab-9eb9-fe534d37719c"),
    ("a77e2f91-52f8-4a96-9bcf-d859d0b30aa3", "ed87ce48-1a23-4f9d-b7dc-11666c4767b8"),
];

/// The readings of a source so many seconds after the recording, all counters one a millisecond
/// further.
pub(crate) fn readings(source: &str, later_s: i64) -> Vec<PlainReading> {
    let document = if source == "summary" { SUMMARY } else { CADVISOR };
    let renamed = |text: String, (old, new): &(&str, &str)| text.replace(old, new);
    let document = RENAMED.iter().fold(document.to_owned(), renamed);
    let mut readings = DocumentReader::new(source).unwrap().read(&document).unwrap().to_plain();
    readings.iter_mut().for_each(|reading| pass(reading, later_s * 1000));
    readings
}

fn pass(reading: &mut PlainReading, later_ms: i64) {
    reading.time_ms += later_ms;
    for (field, cell) in &mut reading.values {
        let is_steady = field.metric.name().ends_with("major_page_faults");
        if field.metric.kind() == Kind::Cumulative && !is_steady {
            *cell = Cell::int(cell.as_int().unwrap() + later_ms);
        }
    }
}
