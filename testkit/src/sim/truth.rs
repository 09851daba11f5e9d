//! How much everything uses: the values of counters and gauges in closed form.
//!
//! A counter is its rate times the time that its owner has been running, where that time passes
//! unevenly: a little faster for a while, then a little slower. So the rate between any two samples
//! lies within the wobble of the true mean rate, whatever the times, and its exact value is known
//! as well. All of an owner's counters share that uneven time.

use heapster_shared::schema::{MetricId, table};

use super::{Behaviour, SimConfig, identity::mix};

/// The uneven time runs fast for half of this and slow for the other half; no divisor of usual
/// resolutions, so that rates differ from tick to tick.
const WOBBLE_PERIOD_MS: i64 = 97_000;
/// Memory rises for half of this and falls for the other half.
const MEMORY_PERIOD_MS: i64 = 600_000;

/// A thing of a host that is measured.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Thing {
    /// The host as a whole.
    Node,
    /// A pod, counted from 0.
    Pod(usize),
    /// A container.
    Container {
        /// Its pod.
        pod: usize,
        /// Its number in the pod, from 0.
        container: usize,
    },
}

/// What is true of a simulated cluster.
#[derive(Clone, Debug)]
pub struct Truth {
    config: SimConfig,
    /// When the oldest containers started.
    epoch_ms: i64,
}

/// What a thing uses: amounts a second, and bytes.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Load {
    pub(super) cpu_millicores: u64,
    pub(super) page_faults: u64,
    pub(super) major_page_faults: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) memory_base: u64,
    pub(super) memory_swing: u64,
    pub(super) cache: u64,
    pub(super) disk_used: u64,
}

impl Load {
    fn of_container(seed: u64, host: usize, pod: usize, container: usize) -> Self {
        let id = mix(&[seed, host as u64, pod as u64, container as u64]);
        let between = |what: u64, low: u64, high: u64| low + mix(&[id, what]) % (high - low + 1);
        Self {
            cpu_millicores: between(1, 2, 200),
            page_faults: between(2, 0, 300),
            major_page_faults: between(3, 0, 3),
            received: between(4, 100, 200_000),
            sent: between(5, 100, 200_000),
            read: between(6, 0, 50_000),
            written: between(7, 0, 100_000),
            memory_base: between(8, 4 << 20, 256 << 20),
            memory_swing: between(9, 0, 32 << 20),
            cache: between(10, 0, 32 << 20),
            disk_used: between(11, 4096, 64 << 20),
        }
    }

    /// What a host uses beside its containers.
    fn of_system() -> Self {
        Self {
            cpu_millicores: 150,
            page_faults: 400,
            major_page_faults: 1,
            received: 20_000,
            sent: 30_000,
            read: 10_000,
            written: 40_000,
            memory_base: 600 << 20,
            memory_swing: 50 << 20,
            cache: 2 << 30,
            disk_used: 8 << 30,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cpu_millicores: self.cpu_millicores + other.cpu_millicores,
            page_faults: self.page_faults + other.page_faults,
            major_page_faults: self.major_page_faults + other.major_page_faults,
            received: self.received + other.received,
            sent: self.sent + other.sent,
            read: self.read + other.read,
            written: self.written + other.written,
            memory_base: self.memory_base + other.memory_base,
            memory_swing: self.memory_swing + other.memory_swing,
            cache: self.cache + other.cache,
            disk_used: self.disk_used + other.disk_used,
        }
    }
}

/// One run of a thing, from its start to that of its successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Life {
    pub(super) generation: u64,
    /// When it started, as the host says.
    pub(super) started_ms: i64,
    /// When its counters really were 0.
    pub(super) counting_from_ms: i64,
}

impl Truth {
    /// The truth of a cluster whose oldest containers started at a time.
    #[must_use]
    pub fn new(config: SimConfig, epoch_ms: i64) -> Self {
        Self { config, epoch_ms }
    }

    /// What is simulated.
    #[must_use]
    pub fn config(&self) -> &SimConfig {
        &self.config
    }

    /// How far a measured rate may lie from [`Truth::rate`], as a part of it.
    #[must_use]
    pub fn wobble(&self) -> f64 {
        f64::from(self.config.wobble_per_mille) / 1000.0
    }

    /// The mean rate of a counter (its increase a second, in its own unit) or the mean value of a
    /// rate (CPU in millicores); `None` for what is neither or is not measured there. Pods have the
    /// sum of their containers, and a network where they have sandboxes.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self, host: usize, thing: Thing, metric: MetricId) -> Option<f64> {
        if metric == table::CPU_USAGE_RATE {
            return Some(self.load(host, thing).cpu_millicores as f64);
        }
        let counter = table::by_id(metric)?.rate_of.unwrap_or(metric);
        let load = self.load(host, thing);
        self.counter_rate(&load, thing, counter).map(|rate| rate as f64)
    }

    /// The value of a counter or of a memory gauge of a node or container, as its host gives it in
    /// a sample taken at a time. The times are true ones, whatever the host's clock says.
    #[must_use]
    pub fn value(
        &self,
        host: usize,
        behaviour: Behaviour,
        thing: Thing,
        metric: MetricId,
        time_ms: i64,
    ) -> Option<u64> {
        let life = self.life(host, behaviour, thing, time_ms);
        let load = self.load(host, thing);
        let elapsed = self.uneven_ms(time_ms - life.counting_from_ms, self.phase(host, thing));
        match metric {
            table::UPTIME => u64::try_from(time_ms - life.started_ms).ok(),
            table::MEMORY_USAGE => Some(self.working_set(&load, host, thing, time_ms) + load.cache),
            table::MEMORY_WORKING_SET => Some(self.working_set(&load, host, thing, time_ms)),
            table::MEMORY_RSS => Some(self.working_set(&load, host, thing, time_ms) / 2),
            table::MEMORY_CACHE => Some(load.cache),
            table::FILESYSTEM_USAGE => Some(load.disk_used),
            _ => self.counter_rate(&load, thing, metric).map(|rate| rate * elapsed / 1000),
        }
    }

    fn counter_rate(&self, load: &Load, thing: Thing, counter: MetricId) -> Option<u64> {
        let network =
            thing == Thing::Node || matches!(thing, Thing::Pod(_)) && self.config.sandboxes;
        match counter {
            table::CPU_USAGE => Some(load.cpu_millicores * 1_000_000),
            table::MEMORY_PAGE_FAULTS => Some(load.page_faults),
            table::MEMORY_MAJOR_PAGE_FAULTS => Some(load.major_page_faults),
            table::NETWORK_RX if network => Some(load.received),
            table::NETWORK_TX if network => Some(load.sent),
            table::NETWORK_RX_ERRORS | table::NETWORK_TX_ERRORS if network => Some(0),
            table::DISK_IO_READ_BYTES => Some(load.read),
            table::DISK_IO_WRITE_BYTES => Some(load.written),
            _ => None,
        }
    }

    /// What a thing uses: a node what its containers do and some more.
    pub(super) fn load(&self, host: usize, thing: Thing) -> Load {
        let of = |pod, container| Load::of_container(self.config.seed, host, pod, container);
        let of_pod = |pod| {
            (0..self.config.containers_per_pod)
                .fold(Load::default(), |sum, container| sum.plus(of(pod, container)))
        };
        match thing {
            Thing::Container { pod, container } => of(pod, container),
            Thing::Pod(pod) => of_pod(pod),
            Thing::Node => (0..self.config.pods_per_host)
                .fold(Load::of_system(), |sum, pod| sum.plus(of_pod(pod))),
        }
    }

    pub(super) fn working_set(&self, load: &Load, host: usize, thing: Thing, time_ms: i64) -> u64 {
        let shifted = time_ms + self.phase(host, thing);
        let swing = load.memory_swing * triangle(shifted, MEMORY_PERIOD_MS)
            / (MEMORY_PERIOD_MS.unsigned_abs() / 2);
        load.memory_base + swing
    }

    /// A number of its own for each thing, below a day.
    pub(super) fn phase(&self, host: usize, thing: Thing) -> i64 {
        let (pod, container) = match thing {
            Thing::Node => (u64::MAX, u64::MAX),
            Thing::Pod(pod) => (pod as u64, u64::MAX),
            Thing::Container { pod, container } => (pod as u64, container as u64),
        };
        let mixed = mix(&[self.config.seed, 3, host as u64, pod, container]);
        i64::try_from(mixed % 86_400_000).unwrap_or(0)
    }

    /// The run of a thing that a sample of this time is of.
    pub(super) fn life(
        &self,
        host: usize,
        behaviour: Behaviour,
        thing: Thing,
        time_ms: i64,
    ) -> Life {
        let whole =
            Life { generation: 0, started_ms: self.epoch_ms, counting_from_ms: self.epoch_ms };
        if let Behaviour::CountersBack(period) = behaviour {
            let counting_from_ms = self.last_multiple(millis(period), 0, time_ms).1;
            return Life { counting_from_ms, ..whole };
        }
        // A host outlives all that happens to its containers, and a pod their restarts.
        let outlives = match thing {
            Thing::Node => true,
            Thing::Pod(_) => matches!(behaviour, Behaviour::Restarting(_)),
            Thing::Container { .. } => false,
        };
        let (Some(lifetime), false) = (behaviour.lifetime(), outlives) else {
            return whole;
        };
        let owner = match (behaviour, thing) {
            // The containers of a pod go with it.
            (Behaviour::Churning(_), Thing::Container { pod, .. }) => Thing::Pod(pod),
            _ => thing,
        };
        let phase = self.phase(host, owner) % millis(lifetime);
        let (generation, started_ms) = self.last_multiple(millis(lifetime), phase, time_ms);
        Life { generation, started_ms, counting_from_ms: started_ms }
    }

    /// Which period since the epoch this is, less a phase, and when it began.
    fn last_multiple(&self, period: i64, phase: i64, time_ms: i64) -> (u64, i64) {
        let elapsed = (time_ms - self.epoch_ms + phase).max(0);
        let began = self.epoch_ms - phase + elapsed / period * period;
        (elapsed.unsigned_abs() / period.unsigned_abs(), began.max(self.epoch_ms))
    }

    /// Time as counters feel it: never backwards, and off by the wobble at most.
    pub(super) fn uneven_ms(&self, elapsed_ms: i64, phase: i64) -> u64 {
        let elapsed = elapsed_ms.max(0);
        let ahead = |at: i64| {
            u64::from(self.config.wobble_per_mille) * triangle(at, WOBBLE_PERIOD_MS) / 1000
        };
        (elapsed.unsigned_abs() + ahead(elapsed + phase)).saturating_sub(ahead(phase))
    }
}

/// Rises by 1 a step for half the period, then falls again.
fn triangle(at: i64, period: i64) -> u64 {
    let within = at.rem_euclid(period);
    within.min(period - within).unsigned_abs()
}

pub(super) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CONTAINER: Thing = Thing::Container { pod: 3, container: 1 };
    const EPOCH_MS: i64 = 1_700_000_000_000;

    fn truth() -> Truth {
        Truth::new(SimConfig::default(), EPOCH_MS)
    }

    /// Whatever two times a reader has, the rate that it works out is close to the true one.
    #[test]
    #[allow(clippy::cast_precision_loss)]
    fn every_interval_has_the_true_rate_within_the_wobble() {
        let truth = truth();
        for thing in [Thing::Node, CONTAINER] {
            let value =
                |metric, time| truth.value(5, Behaviour::Healthy, thing, metric, time).unwrap();
            for step in 0..500 {
                let (first, second) = (EPOCH_MS + step * 7919, EPOCH_MS + step * 7919 + 15_000);
                for metric in [table::CPU_USAGE, table::DISK_IO_WRITE_BYTES] {
                    let increase = value(metric, second) - value(metric, first);
                    let rate = truth.rate(5, thing, metric).unwrap();
                    let allowed = 15.0 * rate * (truth.wobble() + 0.001) + 1.0;
                    assert!((increase as f64 - 15.0 * rate).abs() <= allowed, "{thing:?} {step}");
                }
            }
        }
    }

    #[test]
    fn counters_never_go_back_by_themselves() {
        let truth = truth();
        let value = |time| truth.value(0, Behaviour::Healthy, CONTAINER, table::CPU_USAGE, time);
        assert!((0..100_000).all(|ms| value(EPOCH_MS + ms) <= value(EPOCH_MS + ms + 1)));
    }

    /// The start time stays where it was: nothing but the counter itself tells.
    #[test]
    fn counters_go_back_on_request() {
        let truth = truth();
        let behaviour = Behaviour::CountersBack(Duration::from_secs(60));
        let value = |time| truth.value(0, behaviour, CONTAINER, table::CPU_USAGE, time);
        assert!(value(EPOCH_MS + 59_000) > value(EPOCH_MS + 61_000));
        let life = truth.life(0, behaviour, CONTAINER, EPOCH_MS + 61_000);
        assert_eq!((life.generation, life.started_ms), (0, EPOCH_MS));
    }

    #[test]
    fn restarts_begin_a_new_life_that_counts_from_nothing() {
        let truth = truth();
        let behaviour = Behaviour::Restarting(Duration::from_secs(30));
        for second in 0..90 {
            let time_ms = EPOCH_MS + 60_000 + second * 1000;
            let life = truth.life(0, behaviour, CONTAINER, time_ms);
            let next = truth.life(0, behaviour, CONTAINER, time_ms + 30_000);
            assert_eq!(next.generation, life.generation + 1);
            assert_eq!(next.started_ms, life.started_ms + 30_000);
            assert_eq!(life.counting_from_ms, life.started_ms);
            let value = truth.value(0, behaviour, CONTAINER, table::CPU_USAGE, life.started_ms);
            assert_eq!(value, Some(0));
        }
        assert_eq!(truth.life(0, behaviour, Thing::Node, EPOCH_MS + 60_000).generation, 0);
    }

    /// Pods are replaced whole, one here and one there.
    #[test]
    fn churn_takes_the_containers_of_a_pod_together() {
        let truth = truth();
        let behaviour = Behaviour::Churning(Duration::from_secs(60));
        let started = |pod, container| {
            truth
                .life(0, behaviour, Thing::Container { pod, container }, EPOCH_MS + 600_000)
                .started_ms
        };
        assert_eq!(started(0, 0), started(0, 1));
        assert_ne!(started(0, 0), started(1, 0));
    }
}
