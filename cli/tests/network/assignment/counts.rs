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
    first: i64,
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
        let mut counts = Self { hosts, sums: BTreeMap::new(), first, last: until, resolution_ms };
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
            // Before that the buddies were still given their hosts, one after the other.
            Some("cluster") if tick >= self.first => {
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

    /// Phases with the ticks that they touch, and the rest: how often hosts were asked for a tick, and
    /// how many times one has no rows for one.
    pub(crate) fn table(&self, phases: &[(&str, &RangeInclusive<i64>)]) -> String {
        let mut table = format!(
            "{} hosts, a tick every {} s, {} ticks with sums\n{:8} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
            self.hosts.len(),
            self.resolution_ms / 1000,
            self.sums.len(),
            "",
            "ticks",
            "never",
            "once",
            "twice",
            "thrice",
            "no rows"
        );
        let calm = |tick: &i64| !phases.iter().any(|(_, ticks)| ticks.contains(tick));
        table.push_str(&self.line("calm", calm));
        for (name, ticks) in phases {
            table.push_str(&self.line(name, |tick| ticks.contains(tick)));
        }
        table
    }

    fn line(&self, name: &str, of: impl Fn(&i64) -> bool) -> String {
        let all = || {
            let each = self.hosts.values();
            each.flat_map(|of_host| of_host.asked.iter().map(move |asked| (of_host, asked)))
                .filter(|(_, (tick, _))| of(tick))
        };
        let asked = |count: usize| all().filter(|(_, (_, asked))| **asked == count).count();
        let missing = all().filter(|(of_host, (tick, _))| !of_host.rows.contains(tick)).count();
        let ticks = all().count() / self.hosts.len().max(1);
        let [never, once, twice, thrice] = [0, 1, 2, 3].map(asked);
        format!("{name:8} {ticks:>6} {never:>8} {once:>8} {twice:>8} {thrice:>8} {missing:>8}\n")
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
