//! The source `kubelet-cadvisor`: polls the metrics of the cAdvisor within kubelets, which say more
//! than the summary does: throttling, what is read from and written to disks, page caches; of
//! kubelets up to 1.24 also accelerators, where their feature gate `DisableAcceleratorUsageMetrics` is
//! off.
//!
//! The time of a reading is that of its CPU's sample, without one that of the memory's; a pod as a
//! whole has that of its network's. What has neither CPU nor memory that is more than zero was not
//! measured, and is left out; of two control groups of one container the living one counts.
//!
//! Control groups that are neither the machine nor containers of pods are left out, but for the one
//! with all pods, which is `pods` as in the summary. Requests and limits come from the cluster
//! manager, who knows them exactly.

mod group;
mod identity;
mod map;
#[cfg(test)]
mod tests;

use self::{group::Groups, map::readings};
use super::{
    Kind, Layouts, Readings, Recorder, Shapes,
    fetch::FetchError,
    kubelet::{self, Document, malformed},
    prometheus,
};

/// The entry in the table of sources.
pub(super) const KIND: Kind = kubelet::kind::<KubeletCadvisor>(
    "the metrics of the cAdvisor within kubelets: throttling, disks by device and page caches too; the most, and the heaviest",
    &[
        "kubelet-cadvisor",
        "kubelet-cadvisor?tls=node-name&ca=/etc/heapster/kubelet-ca.pem",
        "kubelet-cadvisor?max_body_size=128MiB",
        "kubelet-cadvisor:http://127.0.0.1:10255?name=node-7",
    ],
);

/// `/metrics/cadvisor`.
pub(super) struct KubeletCadvisor;

impl Document for KubeletCadvisor {
    const KIND: &'static str = "kubelet-cadvisor";
    const PATH: &'static str = "/metrics/cadvisor";
    const SINCE: &'static str = "since 1.7.3; is that a kubelet?";

    fn read(
        url: &str,
        text: &str,
        shapes: &mut Shapes,
        layouts: &Layouts,
    ) -> Result<Readings, FetchError> {
        let mut groups = Groups::default();
        let mut family = None;
        for line in prometheus::lines(text) {
            if !line.is_same_name {
                family = group::family(line.name);
            }
            let Some(family) = family else { continue };
            let sample = line.sample().and_then(|sample| groups.add(family, &sample));
            sample.map_err(|wrong| malformed(url, &line, wrong))?;
        }
        let readings = readings(&groups, Recorder::new(shapes, layouts));
        if readings.is_empty() {
            let wrong = "the answer has no sample with a time of the node or a container; kubelets give times since 1.17, before that use the source summary";
            return Err(FetchError::failed(url, wrong));
        }
        Ok(readings)
    }
}
