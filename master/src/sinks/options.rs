//! The options that every sink has, whatever its kind: how it queues, batches and tries again.

use std::{ops::RangeInclusive, time::Duration};

use heapster_shared::{
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use serde::Deserialize;

use super::{FilterOptions, LabelRules, select};

/// Options of every sink. The sink's actor obeys them; the sink itself never sees them.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommonOptions {
    /// Whether acknowledgements to the buddies wait for this sink. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub required: bool,
    /// Memory that payloads may take while they wait or are being written. Default `64MiB`.
    pub queue_bytes: ByteSize,
    /// A write starts when this many samples wait. Default 10000.
    pub batch_samples: u64,
    /// A write starts when a payload has waited this long. Default `1s`.
    #[serde(deserialize_with = "units::duration")]
    pub flush_interval: Duration,
    /// Writes under way at once; above 1 batches may arrive out of order. Default 1.
    pub concurrency: usize,
    /// A write that takes longer has failed and is tried again. Default `10s`.
    #[serde(deserialize_with = "units::duration")]
    pub timeout: Duration,
    /// The wait after the first failure; it doubles with each further one. Default `500ms`.
    #[serde(deserialize_with = "units::duration")]
    pub retry_first: Duration,
    /// The longest wait between attempts, unless the peer asks for a longer one. Default `30s`.
    #[serde(deserialize_with = "units::duration")]
    pub retry_longest: Duration,
    /// Labels that are not written: names with `*` for any part, separated by commas. Default none.
    pub drop_labels: String,
    /// Labels that are written under another name, as `namespace_name:namespace,pod_name:pod`.
    /// Default none.
    pub rename_labels: String,
    /// The distance between the samples of a series, of which closer ones become one; `0` as they
    /// come. Default `0`.
    #[serde(deserialize_with = "units::duration")]
    pub min_interval: Duration,
    /// What is written at all; options of their own.
    #[serde(skip)]
    pub filter: FilterOptions,
}

/// Names of the fields above.
const NAMES: [&str; 11] = [
    "required",
    "queue_bytes",
    "batch_samples",
    "flush_interval",
    "concurrency",
    "timeout",
    "retry_first",
    "retry_longest",
    "drop_labels",
    "rename_labels",
    "min_interval",
];

/// A queue smaller than this would not hold a single frame of a buddy.
const SMALLEST_QUEUE: ByteSize = ByteSize(64 << 10);
/// Whole seconds, as ticks are; what is held for longer would be too much to send again.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// More would overrun any peer, and each holds a batch in memory.
const MOST_CONCURRENT: usize = 64;

impl Default for CommonOptions {
    fn default() -> Self {
        Self {
            required: false,
            queue_bytes: ByteSize::mib(64),
            batch_samples: 10_000,
            flush_interval: Duration::from_secs(1),
            concurrency: 1,
            timeout: Duration::from_secs(10),
            retry_first: Duration::from_millis(500),
            retry_longest: Duration::from_secs(30),
            drop_labels: String::new(),
            rename_labels: String::new(),
            min_interval: Duration::ZERO,
            filter: FilterOptions::default(),
        }
    }
}

impl CommonOptions {
    /// Takes these options out of a spec and checks them.
    ///
    /// # Errors
    /// When a value has the wrong form or lies out of its range.
    pub fn take_from(spec: &mut Spec) -> Result<Self, SpecError> {
        let mut options: Self = spec.split_off(&NAMES).options()?;
        options.filter = spec.split_off(&select::NAMES).options()?;
        options.check().map_err(|message| SpecError(format!("{}: {message}", spec.kind)))?;
        Ok(options)
    }

    /// Which labels the sink is to write, and under which names.
    ///
    /// # Errors
    /// When the lists have the wrong form.
    pub(super) fn label_rules(&self) -> Result<LabelRules, SpecError> {
        LabelRules::new(&self.drop_labels, &self.rename_labels).map_err(SpecError)
    }

    fn check(&self) -> Result<(), String> {
        if self.queue_bytes < SMALLEST_QUEUE {
            return Err(format!("queue_bytes must be at least {SMALLEST_QUEUE}"));
        }
        if self.batch_samples == 0 {
            return Err("batch_samples must be at least 1".into());
        }
        if !(1..=MOST_CONCURRENT).contains(&self.concurrency) {
            return Err(format!("concurrency must lie between 1 and {MOST_CONCURRENT}"));
        }
        if self.timeout.is_zero() || self.retry_first.is_zero() {
            return Err("timeout and retry_first must be longer than 0".into());
        }
        let interval = self.min_interval;
        if !interval.is_zero() && (!INTERVALS.contains(&interval) || interval.subsec_nanos() > 0) {
            return Err("min_interval must be 0, or whole seconds from 1s to 1h".into());
        }
        if self.retry_longest < self.retry_first {
            return Err("retry_longest must not be shorter than retry_first".into());
        }
        Ok(())
    }
}

/// A kind knows only its own options; this adds the others to what it says of an unknown one.
pub(super) fn also_name_common_options(error: SpecError) -> SpecError {
    if !error.0.contains("unknown option") {
        return error;
    }
    let names = NAMES.iter().chain(&select::NAMES);
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    SpecError(format!("{error}; every sink also has {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(spec: &str) -> Result<(CommonOptions, Spec), SpecError> {
        let mut spec: Spec = spec.parse().unwrap();
        CommonOptions::take_from(&mut spec).map(|options| (options, spec))
    }

    #[test]
    fn they_are_taken_out_and_the_rest_stays() {
        let (options, rest) =
            take("x:y?db=a&required&queue_bytes=2MiB&batch_samples=5&flush_interval=200ms")
                .unwrap();
        assert_eq!(rest.to_string(), "x:y?db=a");
        let expected = CommonOptions {
            required: true,
            queue_bytes: ByteSize::mib(2),
            batch_samples: 5,
            flush_interval: Duration::from_millis(200),
            ..CommonOptions::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn values_out_of_range_are_refused_with_their_name() {
        for (spec, name) in [
            ("x?queue_bytes=1", "queue_bytes"),
            ("x?batch_samples=0", "batch_samples"),
            ("x?concurrency=0", "concurrency"),
            ("x?concurrency=65", "concurrency"),
            ("x?timeout=0", "timeout"),
            ("x?retry_longest=1ms", "retry_longest"),
            ("x?min_interval=1500ms", "min_interval"),
            ("x?min_interval=2h", "min_interval"),
            ("x?include_levels=namespace", "`namespace` is no level"),
            ("x?exclude_labels=app", "`app` says nothing"),
        ] {
            let error = take(spec).unwrap_err().to_string();
            assert!(error.starts_with("x: ") && error.contains(name), "{spec}: {error}");
        }
    }

    /// The list of names is written twice; this holds the two together.
    #[test]
    fn every_field_is_taken() {
        let error = "x?nonsense=1".parse::<Spec>().unwrap().options::<CommonOptions>();
        let error = error.unwrap_err().to_string();
        let listed = error.matches('`').count() / 2 - 1;
        assert_eq!(listed, NAMES.len(), "{error}");
        assert!(NAMES.iter().all(|name| error.contains(&format!("`{name}`"))), "{error}");
    }
}
