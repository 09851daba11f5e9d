//! What an earlier start of the program knew of the hosts of the first round.

use std::{borrow::Cow, time::Duration};

use compact_str::CompactString;
use heapster_shared::{Map, row::Block, tick::Resolution};

use crate::pipeline::{HostPipeline, RecalledHost};

/// A stop of so many ticks makes the first sample a first one.
const MOST_TICKS: u32 = 10;
/// But not one of less than this: a program that crashes again and again is started every five
/// minutes.
const LEAST: Duration = Duration::from_secs(10 * 60);

/// Hosts by their ids.
#[derive(Debug, Default)]
pub(super) struct Recalled(Map<CompactString, RecalledHost>);

impl Recalled {
    /// Those of this cluster.
    pub(super) fn of(cluster: &str, hosts: Vec<RecalledHost>) -> Self {
        let known = hosts.into_iter().filter(|host| host.cluster() == cluster);
        Self(known.map(|host| (host.host().into(), host)).collect())
    }

    /// Has a pipeline go on with what was known of its host.
    pub(super) fn give(&mut self, id: &str, pipeline: &mut HostPipeline, resolution: Resolution) {
        if let Some(host) = self.0.remove(id) {
            let longest = LEAST.max(resolution.duration().saturating_mul(MOST_TICKS));
            pipeline.recall(host, i64::try_from(longest.as_millis()).unwrap_or(i64::MAX));
        }
    }

    /// What comes later may have been polled by another buddy meanwhile.
    pub(super) fn forget(&mut self) {
        self.0 = Map::default();
    }
}

/// The rows of the newest samples: those that are new, and those that were sent before.
pub(super) fn newest<'a>(blocks: &'a [Block], sent_before: &[Block]) -> Cow<'a, [Block]> {
    if sent_before.is_empty() {
        return Cow::Borrowed(blocks);
    }
    Cow::Owned(blocks.iter().chain(sent_before).cloned().collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heapster_shared::{
        entity::Labels,
        host::Host,
        row::Cell,
        schema::{Field, table},
    };

    use super::*;
    use crate::{
        pipeline::Plans,
        source::{Layouts, PlainReading, Readings, Subject},
    };

    fn poll(pipeline: &mut HostPipeline, time_ms: i64) -> Vec<Block> {
        let reading = PlainReading {
            subject: Subject::Node { labels: Labels::default() },
            time_ms,
            start_time_ms: 0,
            values: vec![(Field::plain(table::CPU_USAGE.def()), Cell::int(time_ms * 7))],
        };
        let readings = Readings::collect(vec![reading], &Layouts::default());
        pipeline.advance(&mut Plans::default(), &Arc::new(Host::named("a")), &readings)
    }

    fn known() -> RecalledHost {
        let mut pipeline = HostPipeline::default();
        poll(&mut pipeline, 1_000);
        let samples = pipeline.samples(&"lab".into()).unwrap();
        RecalledHost::decode(&samples.encode()).unwrap()
    }

    /// The increase of the first row after so long a stop; `None` where there is none.
    fn first(recalled: &mut Recalled, after: Duration, resolution_s: u64) -> Option<i64> {
        let resolution = Resolution::new(Duration::from_secs(resolution_s)).unwrap();
        let mut pipeline = HostPipeline::default();
        recalled.give("a", &mut pipeline, resolution);
        let now_ms = 1_000 + i64::try_from(after.as_millis()).unwrap();
        poll(&mut pipeline, now_ms)[0].row(0).increases[0].as_int()
    }

    /// A stop of ten ticks, or of ten minutes where that is more, is gone on over.
    #[test]
    fn long_stops_are_ends() {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        for (after, resolution_s, goes_on) in [
            (minutes(10), 15, true),
            (minutes(11), 15, false),
            (minutes(50), 300, true),
            (minutes(51), 300, false),
        ] {
            let mut recalled = Recalled::of("lab", vec![known()]);
            let increase = first(&mut recalled, after, resolution_s);
            assert_eq!(increase.is_some(), goes_on, "{after:?} at {resolution_s} s");
        }
    }

    /// Only this cluster's hosts, each once, and none after the first round: meanwhile another buddy
    /// may have polled it.
    #[test]
    fn each_host_is_recalled_once_and_in_the_first_round() {
        let second = Duration::from_secs(1);
        let mut recalled = Recalled::of("lab", vec![known()]);
        assert_eq!(first(&mut recalled, second, 15), Some(7_000));
        assert_eq!(first(&mut recalled, second, 15), None, "a second time");
        assert_eq!(first(&mut Recalled::of("other", vec![known()]), second, 15), None);
        let mut recalled = Recalled::of("lab", vec![known()]);
        recalled.forget();
        assert_eq!(first(&mut recalled, second, 15), None, "after the first round");
    }

    /// Who wants the newest samples gets those too that were sent before the start.
    #[test]
    fn the_newest_are_new_ones_and_those_sent_before() {
        let mut pipeline = HostPipeline::default();
        pipeline.recall(known(), 60_000);
        let blocks = poll(&mut pipeline, 1_000);
        let sent_before = pipeline.take_recalled();
        assert_eq!((blocks.len(), newest(&blocks, &sent_before).len()), (0, 1));
        assert_eq!(newest(&sent_before, &[]).len(), 1);
    }
}
