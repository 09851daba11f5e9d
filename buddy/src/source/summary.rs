//! The source `summary`: polls the kubelet's own summary of its node, pods and containers.
//!
//! The time of a reading is that of its CPU's sample, without one that of the memory's; a pod as a
//! whole has the time of its network's sample, since that is what is measured of it. A kubelet tells
//! times to the second only. What has no time, or neither CPU nor memory that is more than zero, was
//! not measured: a container that has not begun or has finished is left out.
//!
//! CPU is read as the total and never as the kubelet's own rate, which has no interval; that rate is
//! passed on beside the rows ([`Reading::given_cpu_nanocores`](super::Reading)).

mod answer;
mod map;
mod quick;
#[cfg(test)]
mod tests;
mod values;

use self::answer::Summary as Answer;
use super::{
    Kind, Layouts, Readings, Recorder, Shapes,
    fetch::FetchError,
    json::decode,
    kubelet::{self, Document},
};

/// The entry in the table of sources.
pub(super) const KIND: Kind = kubelet::kind::<Summary>(
    "the kubelet's summary: node, pods, containers and volumes; the default for the nodes of Kubernetes",
    &[
        "summary",
        "summary?tls=node-name&ca=/etc/heapster/kubelet-ca.pem",
        "summary?proxy=https://10.0.0.1:6443&ca=/etc/heapster/ca.pem&token_file=/etc/heapster/token",
        "summary?via=apiserver&kubeconfig=/etc/heapster/kubeconfig&context=prod",
        "summary?port=10255&scheme=http",
        "summary:https://10.0.0.7:10250?name=node-7&token_file=/etc/heapster/token&tls=skip",
    ],
);

/// `/stats/summary`.
pub(super) struct Summary;

impl Summary {
    /// What the general decoder alone makes of a summary of a host that is new: what the quick way
    /// has to give, too.
    pub(super) fn read_generally(text: &str) -> Result<Readings, FetchError> {
        let answer: Answer<'_> = decode("http://h", text)?;
        Ok(map::readings(&answer, Recorder::new(&mut Shapes::default(), &Layouts::default())))
    }
}

impl Document for Summary {
    const KIND: &'static str = "summary";
    const PATH: &'static str = "/stats/summary";
    const SINCE: &'static str = "at every version; is that a kubelet?";

    fn read(
        url: &str,
        text: &str,
        shapes: &mut Shapes,
        layouts: &Layouts,
    ) -> Result<Readings, FetchError> {
        if let Some(readings) = quick::readings(text, Recorder::new(shapes, layouts)) {
            return Ok(readings);
        }
        let answer: Answer<'_> = decode(url, text)?;
        Ok(map::readings(&answer, Recorder::new(shapes, layouts)))
    }
}
