//! What must be in a database, what may be, and what must not.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use heapster_shared::schema::table;

use super::{database::Point, lab::Stored, program::Life};
use crate::sim::{SimCluster, Thing, container_name, host_name, pod_name};

/// The log of a round and the log of a host are of one clock, read one after the other.
const SLACK_MS: i64 = 5;
/// VictoriaMetrics rounds the last digits of doubles.
const ROUNDING: f64 = 1e-11;

/// The name of a cluster.
pub(super) fn cluster_name(number: usize) -> String {
    format!("lab-{number}")
}

/// The answer of a host to a poll: all its containers have rows of that time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Poll {
    pub(super) cluster: usize,
    pub(super) host: usize,
    pub(super) time_ms: i64,
}

/// What is known of a buddy and the hosts that it polls.
pub(super) struct Witness {
    pub(super) sim: Arc<SimCluster>,
    pub(super) lives: Vec<Life>,
    /// Rows that were polled in these times may be lost.
    pub(super) lost_ms: Vec<Range<i64>>,
}

/// What is known of what was polled.
pub(super) struct Oracle {
    sims: Vec<Arc<SimCluster>>,
    /// Every answer, and whether its rows must be delivered.
    polls: BTreeMap<Poll, bool>,
    series: BTreeMap<Series, Place>,
    containers: usize,
}

/// The names of a series: of cluster, node, pod and container.
type Series = (String, String, String, String);

/// Which container of the simulation has a series.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    cluster: usize,
    host: usize,
    pod: usize,
    container: usize,
}

impl Place {
    fn thing(self) -> Thing {
        Thing::Container { pod: self.pod, container: self.container }
    }

    fn poll(self, time_ms: i64) -> Poll {
        Poll { cluster: self.cluster, host: self.host, time_ms }
    }
}

/// What is wrong with what a database has.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// Rows that must be there and are not.
    pub(super) lost: Vec<String>,
    /// Rows of answers that no host gave.
    pub(super) foreign: Vec<String>,
    /// Rows with another value than was measured.
    pub(super) wrong: Vec<String>,
    /// Rows that are there.
    pub(super) found: usize,
    /// Rows that are there more than once.
    pub(super) twice: usize,
}

impl Oracle {
    /// From what hosts and buddies say up to now.
    pub(super) fn of(witnesses: Vec<Witness>) -> Self {
        let mut oracle = Self {
            sims: Vec::new(),
            polls: BTreeMap::new(),
            series: BTreeMap::new(),
            containers: 0,
        };
        for (cluster, Witness { sim, lives, lost_ms }) in witnesses.into_iter().enumerate() {
            let complete = complete_rounds(&lives);
            for host in 0..sim.hosts().len() {
                for time_ms in sim.polls(host) {
                    let may_be_lost = lost_ms.iter().any(|lost| lost.contains(&time_ms));
                    let must = is_within(&complete, time_ms) && !may_be_lost;
                    oracle.polls.insert(Poll { cluster, host, time_ms }, must);
                }
                oracle.series.extend(containers(&sim, cluster, host));
            }
            oracle.containers = sim.truth().config().containers_per_host();
            oracle.sims.push(sim);
        }
        oracle
    }

    /// Rows that hosts gave, and those among them that must be delivered.
    pub(super) fn counts(&self) -> (usize, usize) {
        let must = self.polls.values().filter(|must| **must).count();
        (self.polls.len() * self.containers, must * self.containers)
    }

    /// Compares a database with the truth.
    pub(super) fn judge(&self, points: &[Point]) -> Findings {
        let mut findings = Findings::default();
        let mut seen = BTreeSet::new();
        for point in points {
            let place = self.series.get(&series_of(point)).copied();
            let place = place.filter(|place| self.polls.contains_key(&place.poll(point.time_ms)));
            let Some(place) = place else {
                findings.foreign.push(format!("{point:?}"));
                continue;
            };
            let truth = self.true_value(place, point.time_ms);
            if (point.value - truth).abs() > truth * ROUNDING {
                findings.wrong.push(format!("{point:?}, not {truth}"));
            }
            findings.twice += usize::from(!seen.insert((place, point.time_ms)));
        }
        findings.found = seen.len();
        for ((cluster, node, pod, container), place) in &self.series {
            let must = self.polls.iter().filter(|(poll, must)| {
                **must && (poll.cluster, poll.host) == (place.cluster, place.host)
            });
            let lost = must.filter(|(poll, _)| !seen.contains(&(*place, poll.time_ms)));
            findings.lost.extend(lost.map(|(poll, _)| {
                format!("{cluster}/{node}/{pod}/{container} at {}", poll.time_ms)
            }));
        }
        findings
    }

    /// Rates that the truth does not allow: negative ones, and spikes.
    pub(super) fn impossible_rates(&self, rates: &[Point]) -> Vec<String> {
        let impossible = |point: &&Point| {
            let Some(place) = self.series.get(&series_of(point)) else { return true };
            let sim = &self.sims[place.cluster];
            let truth = sim.true_rate(place.host, place.thing(), table::CPU_USAGE_RATE);
            // Intervals are whole milliseconds, and may be short after a halt.
            let most = truth.unwrap_or_default() * (1.0 + sim.truth().wobble() + 0.1) + 2.0;
            !(0.0..=most).contains(&point.value)
        };
        rates.iter().filter(impossible).map(|point| format!("{point:?}")).collect()
    }

    #[allow(clippy::cast_precision_loss)]
    fn true_value(&self, place: Place, time_ms: i64) -> f64 {
        let sim = &self.sims[place.cluster];
        let value = sim.true_value(place.host, place.thing(), table::CPU_USAGE, time_ms);
        value.unwrap_or_default() as f64
    }

    /// The time up to which all that a buddy must deliver is in both databases.
    pub(super) fn settled_ms(&self, buddy: usize, stored: &Stored) -> i64 {
        let times = |points: &[Point]| {
            let mut counts: BTreeMap<(String, i64), BTreeSet<Series>> = BTreeMap::new();
            for point in points.iter().filter(|point| point.cluster == cluster_name(buddy)) {
                let key = (point.node.clone(), point.time_ms);
                counts.entry(key).or_default().insert(series_of(point));
            }
            counts
        };
        let (first, second) = (times(&stored.influxdb), times(&stored.victoria));
        let whole = |poll: &Poll| {
            let key = (host_name(poll.host), poll.time_ms);
            [&first, &second]
                .iter()
                .all(|of| of.get(&key).map_or(0, BTreeSet::len) == self.containers)
        };
        let mut own: Vec<&Poll> = self
            .polls
            .iter()
            .filter(|(poll, must)| **must && poll.cluster == buddy)
            .map(|(poll, _)| poll)
            .collect();
        own.sort_by_key(|poll| poll.time_ms);
        let settled = own.iter().take_while(|poll| whole(poll));
        settled.last().map_or(0, |poll| poll.time_ms + 1)
    }
}

fn series_of(point: &Point) -> Series {
    let Point { cluster, node, pod, container, .. } = point.clone();
    (cluster, node, pod, container)
}

fn containers(sim: &SimCluster, cluster: usize, host: usize) -> Vec<(Series, Place)> {
    let config = sim.truth().config();
    let pods = 0..config.pods_per_host;
    let places = pods.flat_map(|pod| {
        let containers = 0..config.containers_per_pod;
        containers.map(move |container| Place { cluster, host, pod, container })
    });
    let named = |place: Place| {
        let (node, pod) = (host_name(host), pod_name(host, place.pod, 0));
        ((cluster_name(cluster), node, pod, container_name(place.container)), place)
    };
    places.map(named).collect()
}

fn is_within(rounds: &[(i64, i64)], time_ms: i64) -> bool {
    rounds.iter().any(|(began, ended)| (*began..=*ended).contains(&time_ms))
}

/// From when to when each round took of which every host gave its rows, by what a buddy said.
fn complete_rounds(lives: &[Life]) -> Vec<(i64, i64)> {
    lives.iter().flat_map(|life| life.output.lines()).filter_map(complete_round).collect()
}

fn complete_round(line: &str) -> Option<(i64, i64)> {
    let (time, _) = line.split_once(' ')?;
    let number = |key: &str| {
        let value = line.split_once(key)?.1;
        value.split(' ').next()?.parse::<i64>().ok()
    };
    let complete = line.contains("round complete")
        && number(" failed=")? == 0
        && number(" late=")? == 0
        && number(" rows=")? > 0;
    let ended_ms = time.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    complete.then_some((ended_ms - number(" took_ms=")? - SLACK_MS, ended_ms + SLACK_MS))
}

#[cfg(test)]
mod tests {
    use super::{super::program::End, *};
    use crate::{http, sim::SimConfig};

    /// A cluster whose one host was polled, the log of a buddy that completed the round, and every
    /// row of it.
    async fn polled() -> (Arc<SimCluster>, String, Vec<Point>) {
        let config = SimConfig {
            pods_per_host: 2,
            housekeeping: Default::default(),
            ..SimConfig::default()
        };
        let sim = Arc::new(SimCluster::start(config).await.unwrap());
        sim.log_polls();
        let (address, port) = (sim.hosts()[0].address, sim.hosts()[0].port);
        let url =
            format!("http://{address}:{port}/api/v2.1/stats/?type=name&recursive=true&count=1");
        let asked = tokio::task::spawn_blocking(move || http::get(&url).unwrap().status);
        assert_eq!(asked.await.unwrap(), 200);
        let time_ms = sim.polls(0)[0];
        let ended = jiff::Timestamp::from_millisecond(time_ms + 3).unwrap();
        let log = format!(
            "{ended}  INFO round complete hosts=1 failed=0 late=0 rows=7 samples=1 took_ms=9"
        );
        let point = |(series, place): (Series, Place)| {
            let value = sim.true_value(0, place.thing(), table::CPU_USAGE, time_ms).unwrap();
            let (cluster, node, pod, container) = series;
            Point { cluster, node, pod, container, time_ms, value: value as f64 }
        };
        let points = containers(&sim, 0, 0).into_iter().map(point).collect();
        (sim, log, points)
    }

    fn oracle(sim: &Arc<SimCluster>, log: &str, lost_ms: Option<Range<i64>>) -> Oracle {
        let output = log.to_owned();
        let life = Life { output, began_ms: 0, ended_ms: None, end: End::Orderly };
        Oracle::of(vec![Witness {
            sim: Arc::clone(sim),
            lives: vec![life],
            lost_ms: lost_ms.into_iter().collect(),
        }])
    }

    /// Whatever is wrong with a row is found, and counted as what it is.
    #[tokio::test]
    async fn it_finds_what_is_lost_wrong_foreign_and_twice() {
        let (sim, log, points) = polled().await;
        let oracle = oracle(&sim, &log, None);
        let judged = |points: &[Point]| {
            let found = oracle.judge(points);
            [found.lost.len(), found.wrong.len(), found.foreign.len(), found.twice, found.found]
        };
        assert_eq!(judged(&points), [0, 0, 0, 0, 4]);
        assert_eq!(judged(&points[1..]), [1, 0, 0, 0, 3]);
        let mut other = points.clone();
        other[0].value += 1_000_000.0;
        assert_eq!(judged(&other), [0, 1, 0, 0, 4]);
        other.clone_from(&points);
        other[0].value = points[1].value;
        assert_eq!(judged(&other), [0, 1, 0, 0, 4], "a row of another container");
        other[0].time_ms += 1;
        assert_eq!(judged(&other), [1, 0, 1, 0, 3]);
        assert_eq!(judged(&[&points[..], &points[..1]].concat()), [0, 0, 0, 1, 4]);
    }

    /// A row that no round promised, or that went down with its buddy, may be there or not.
    #[tokio::test]
    async fn what_may_be_lost_is_not_missed() {
        let (sim, log, points) = polled().await;
        let time_ms = points[0].time_ms;
        for oracle in [oracle(&sim, "", None), oracle(&sim, &log, Some(time_ms..time_ms + 1))] {
            assert_eq!(oracle.counts(), (4, 0));
            assert!(oracle.judge(&[]).lost.is_empty() && oracle.judge(&points).foreign.is_empty());
        }
        assert_eq!(oracle(&sim, &log, None).counts(), (4, 4));
    }

    /// Settled is what both databases have whole.
    #[tokio::test]
    async fn what_is_settled_is_in_both_databases() {
        let (sim, log, points) = polled().await;
        let oracle = oracle(&sim, &log, None);
        let settled = |influxdb: &[Point], victoria: &[Point]| {
            let (influxdb, victoria) = (influxdb.to_vec(), victoria.to_vec());
            oracle.settled_ms(0, &Stored { influxdb, victoria })
        };
        assert_eq!(settled(&points, &points), points[0].time_ms + 1);
        assert_eq!(settled(&points, &points[1..]), 0);
        assert_eq!(settled(&[], &points), 0);
    }

    /// A negative rate and a spike are found, the truth is not.
    #[tokio::test]
    async fn impossible_rates_are_found() {
        let (sim, log, points) = polled().await;
        let oracle = oracle(&sim, &log, None);
        let rate = |value| vec![Point { value, ..points[0].clone() }];
        let thing = oracle.series[&series_of(&points[0])].thing();
        let truth = sim.true_rate(0, thing, table::CPU_USAGE_RATE).unwrap();
        assert!(oracle.impossible_rates(&rate(truth)).is_empty());
        assert_eq!(oracle.impossible_rates(&rate(-1.0)).len(), 1);
        assert_eq!(oracle.impossible_rates(&rate(truth * 2.0 + 10.0)).len(), 1);
    }

    /// Only rounds of which nothing is missing promise anything.
    #[test]
    fn rounds_are_read_off_the_log() {
        let line = |failed, late| {
            format!(
                "2026-11-22T21:00:01.500000Z  INFO round complete hosts=2 failed={failed} \
                 late={late} rows=14 samples=200 took_ms=400"
            )
        };
        let ended = "2026-11-22T21:00:01.5Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
        assert_eq!(complete_round(&line(0, 0)), Some((ended - 405, ended + 5)));
        assert_eq!(complete_round(&line(1, 0)), None);
        assert_eq!(complete_round(&line(0, 1)), None);
        assert_eq!(complete_round("2026-11-22T21:00:01.5Z  INFO connected"), None);
    }
}
