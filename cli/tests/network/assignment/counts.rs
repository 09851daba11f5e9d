//! What hosts were asked, and what arrived, by host and tick.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::RangeInclusive,
    path::Path,
};

use serde_json::Value;

/// When each host was asked, by name.
pub(crate) type Polls = BTreeMap<String, Vec<i64>>;

/// The counts of all hosts from one tick to another.
pub(crate) struct Counts {
    hosts: BTreeMap<String, OfHost>,
    /// What the whole cluster uses, by tick.
    sums: BTreeMap<i64, f64>,
    last: i64,
    resolution_ms: i64,
}

/// Of one host: how often it was asked for each tick, and the ticks that have its rows.
#[derive(Debug)]
pub(crate) struct OfHost {
    asked: BTreeMap<i64, usize>,
    rows: BTreeSet<i64>,
}

impl Counts {
    pub(crate) fn read(
        polls: &Polls,
        rows: &Path,
        from_ms: i64,
        until: i64,
        resolution_ms: i64,
    ) -> Self {
        let first = (from_ms / resolution_ms + 1) * resolution_ms;
        let ticks = || (first..=until).step_by(usize::try_from(resolution_ms).unwrap());
        let mut hosts: BTreeMap<String, OfHost> = BTreeMap::new();
        for (host, times) in polls {
            let mut asked: BTreeMap<i64, usize> = ticks().map(|tick| (tick, 0)).collect();
            for time in times {
                if let Some(count) = asked.get_mut(&(time / resolution_ms * resolution_ms)) {
                    *count += 1;
                }
            }
            hosts.insert(host.clone(), OfHost { asked, rows: BTreeSet::new() });
        }
        let mut counts = Self { hosts, sums: BTreeMap::new(), last: until, resolution_ms };
        let text = fs::read_to_string(rows).unwrap_or_default();
        let counts_here =
            |line: &&str| line.contains(r#""type":"node""#) || line.contains(r#""type":"cluster""#);
        let lines = text.lines().filter(counts_here);
        let parsed = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.for_each(|row| counts.take(&row));
        counts
    }

    fn take(&mut self, row: &Value) {
        let tick = row["tick"].as_str().and_then(|tick| tick.parse::<jiff::Timestamp>().ok());
        let Some(tick) = tick.map(jiff::Timestamp::as_millisecond) else { return };
        match row["labels"]["type"].as_str() {
            Some("node") => {
                let host = row["labels"]["nodename"].as_str().unwrap();
                if let Some(of_host) = self.hosts.get_mut(host) {
                    of_host.rows.insert(tick);
                }
            }
            Some("cluster") => {
                let samples = row["samples"].as_array().unwrap();
                let usage = samples.iter().find(|sample| sample["metric"] == "memory/usage");
                self.sums.insert(tick, usage.unwrap()["value"].as_f64().unwrap());
            }
            _ => {}
        }
    }

    pub(crate) fn has_all_of_the_last(&self) -> bool {
        self.hosts.values().all(|of_host| of_host.rows.contains(&self.last))
    }

    pub(crate) fn by_host(&self) -> impl Iterator<Item = (&String, &OfHost)> {
        self.hosts.iter()
    }

    /// The ticks from the one under way at the first time to the one after the second.
    pub(crate) fn ticks_between(&self, from_ms: i64, until_ms: i64) -> RangeInclusive<i64> {
        let tick = |time_ms: i64| time_ms / self.resolution_ms * self.resolution_ms;
        tick(from_ms)..=tick(until_ms) + self.resolution_ms
    }

    /// The sums that there are, are those of all hosts, and most ticks have one. A tick that lacks less
    /// than a tenth of the hosts has a sum, as documented; a buddy here has a third.
    pub(crate) fn assert_no_dip(&self) {
        let (least, most) = self
            .sums
            .values()
            .fold((f64::MAX, 0.0_f64), |(least, most), sum| (least.min(*sum), most.max(*sum)));
        assert!(least > most * 0.88, "{:?}", self.sums);
        let ticks = self.hosts.values().next().map_or(0, |of_host| of_host.asked.len());
        assert!(self.sums.len() * 2 > ticks, "{:?}", self.sums);
    }
}

impl OfHost {
    /// Asked once, and with rows, in each tick of these.
    pub(crate) fn assert_asked_once(&self, of: impl Fn(&i64) -> bool) {
        for (tick, asked) in self.asked.iter().filter(|(tick, _)| of(tick)) {
            assert!(*asked == 1 && self.rows.contains(tick), "at {tick}: {self:?}");
        }
    }

    pub(crate) fn without_rows(&self, ticks: &RangeInclusive<i64>) -> usize {
        self.missing().filter(|tick| ticks.contains(tick)).count()
    }

    pub(crate) fn without_rows_but(&self, ticks: &RangeInclusive<i64>) -> usize {
        self.missing().filter(|tick| !ticks.contains(tick)).count()
    }

    pub(crate) fn asked_twice(&self, ticks: &RangeInclusive<i64>) -> usize {
        self.asked.iter().filter(|(tick, asked)| ticks.contains(tick) && **asked > 1).count()
    }

    pub(crate) fn most_asked(&self) -> usize {
        self.asked.values().copied().max().unwrap_or_default()
    }

    fn missing(&self) -> impl Iterator<Item = i64> {
        self.asked.keys().copied().filter(|tick| !self.rows.contains(tick))
    }
}
