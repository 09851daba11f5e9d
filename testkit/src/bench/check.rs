//! Whether what the model has is true.

use heapster_shared::schema::{MetricId, table};

use super::api::Api;
use crate::sim::{Thing, Truth, container_name, host_name, namespace, pod_name};

/// What was compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// Values compared.
    pub(super) compared: usize,
    /// Series that should be there and are not.
    pub(super) missing: usize,
    /// Values further off than the simulation allows.
    pub(super) wrong: usize,
    /// The greatest distance from the truth, as a part of it.
    pub(super) worst: f64,
    /// The first fault, in words.
    pub(super) first_fault: Option<String>,
}

/// The rates of a node that are compared, and those of a pod where it has a network.
const NETWORKED: [MetricId; 3] =
    [table::CPU_USAGE_RATE, table::NETWORK_RX_RATE, table::NETWORK_TX_RATE];
/// Those of a container.
const OF_CONTAINER: [MetricId; 2] = [table::CPU_USAGE_RATE, table::MEMORY_PAGE_FAULTS_RATE];

/// Compares rates of this many of the first hosts, which are alive, and of a pod and a container on
/// each.
pub(super) async fn rates(api: &Api, truth: &Truth, living: usize, hosts: usize) -> Verdict {
    let mut verdict = Verdict::default();
    for host in (0..living).step_by(living.div_ceil(hosts).max(1)) {
        let node = format!("nodes/{}/", host_name(host));
        let pod = host % truth.config().pods_per_host.max(1);
        let container = host % truth.config().containers_per_pod.max(1);
        let pod_entity = format!("namespaces/{}/pods/{}/", namespace(pod), pod_name(host, pod, 0));
        let entity = format!("{pod_entity}containers/{}/", container_name(container));
        let thing = Thing::Container { pod, container };
        let mut things = vec![(node, Thing::Node, &NETWORKED[..]), (entity, thing, &OF_CONTAINER)];
        if truth.config().sandboxes {
            things.push((pod_entity, Thing::Pod(pod), &NETWORKED[1..]));
        }
        for (entity, thing, metrics) in things {
            for metric in metrics {
                compare(api, truth, &mut verdict, host, &entity, thing, *metric).await;
            }
        }
    }
    verdict
}

async fn compare(
    api: &Api,
    truth: &Truth,
    verdict: &mut Verdict,
    host: usize,
    entity: &str,
    thing: Thing,
    metric: MetricId,
) {
    let Some(rate) = truth.rate(host, thing, metric) else { return };
    let name = metric.def().name;
    let values: Vec<f64> = match api.series(entity, metric).await {
        Ok(series) if !series.metrics.is_empty() => {
            series.metrics.iter().map(|point| point.value).collect()
        }
        Ok(_) => return verdict.lacks(format!("{entity} has no {name}")),
        Err(error) => return verdict.lacks(format!("{entity} has no {name}: {error:#}")),
    };
    for value in values {
        verdict.judge(value, rate, truth.wobble(), || format!("{entity}{name}"));
    }
}

impl Verdict {
    /// Notes a series that is missing.
    fn lacks(&mut self, fault: String) {
        self.missing += 1;
        self.first_fault.get_or_insert(fault);
    }

    /// Compares a value. Counters and rates are whole numbers somewhere on the way: one may be lost.
    fn judge(&mut self, value: f64, truth: f64, wobble: f64, what: impl Fn() -> String) {
        self.compared += 1;
        let distance = (value - truth).abs();
        if truth > 0.0 {
            self.worst = self.worst.max(distance / truth);
        }
        if distance.is_nan() || distance > truth * (wobble + 0.001) + 1.0 {
            self.wrong += 1;
            self.first_fault.get_or_insert(format!("{} is {value}, not {truth}", what()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_wrong_outside_the_wobble() {
        let mut verdict = Verdict::default();
        for value in [1000.0, 981.0, 1019.0] {
            verdict.judge(value, 1000.0, 0.02, || "x".into());
        }
        assert_eq!((verdict.compared, verdict.wrong), (3, 0));
        verdict.judge(0.0, 1000.0, 0.02, || "x".into());
        verdict.judge(f64::NAN, 1000.0, 0.02, || "y".into());
        assert_eq!((verdict.compared, verdict.wrong), (5, 2));
        assert_eq!(verdict.first_fault.as_deref(), Some("x is 0, not 1000"));
    }
}
