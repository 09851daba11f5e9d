//! The summary, as far as it is used. Text is borrowed from the answer; whatever a kubelet may leave
//! out, as those on Windows or of other versions do, is an option.

use serde::Deserialize;

use crate::source::json::{Entries, Text, Timestamp};

#[derive(Deserialize)]
pub(super) struct Summary<'a> {
    #[serde(borrow)]
    pub(super) node: Node<'a>,
    #[serde(borrow)]
    pub(super) pods: Option<Vec<Pod<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node<'a> {
    #[serde(borrow)]
    pub(super) system_containers: Option<Vec<Container<'a>>>,
    #[serde(borrow)]
    pub(super) start_time: Option<Time<'a>>,
    #[serde(borrow)]
    pub(super) cpu: Option<Cpu<'a>>,
    #[serde(borrow)]
    pub(super) memory: Option<Memory<'a>>,
    #[serde(borrow)]
    pub(super) network: Option<Network<'a>>,
    #[serde(borrow)]
    pub(super) fs: Option<Filesystem<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pod<'a> {
    #[serde(borrow)]
    pub(super) pod_ref: PodRef<'a>,
    #[serde(borrow)]
    pub(super) start_time: Option<Time<'a>>,
    #[serde(borrow)]
    pub(super) containers: Option<Vec<Container<'a>>>,
    #[serde(borrow)]
    pub(super) network: Option<Network<'a>>,
    #[serde(borrow)]
    pub(super) volume: Option<Vec<Volume<'a>>>,
}

#[derive(Deserialize, Default)]
pub(super) struct PodRef<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) namespace: Text<'a>,
    #[serde(borrow, default)]
    pub(super) uid: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) start_time: Option<Time<'a>>,
    #[serde(borrow)]
    pub(super) cpu: Option<Cpu<'a>>,
    #[serde(borrow)]
    pub(super) memory: Option<Memory<'a>>,
    #[serde(borrow)]
    pub(super) rootfs: Option<Filesystem<'a>>,
    #[serde(borrow)]
    pub(super) logs: Option<Filesystem<'a>>,
    #[serde(borrow)]
    pub(super) accelerators: Option<Vec<Accelerator<'a>>>,
    #[serde(borrow)]
    pub(super) user_defined_metrics: Option<Vec<UserDefined<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cpu<'a> {
    #[serde(borrow)]
    pub(super) time: Option<Time<'a>>,
    pub(super) usage_nano_cores: Option<u64>,
    pub(super) usage_core_nano_seconds: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory<'a> {
    #[serde(borrow)]
    pub(super) time: Option<Time<'a>>,
    pub(super) usage_bytes: Option<u64>,
    pub(super) working_set_bytes: Option<u64>,
    pub(super) rss_bytes: Option<u64>,
    pub(super) page_faults: Option<u64>,
    pub(super) major_page_faults: Option<u64>,
}

/// At the top is the interface `eth0`, and nothing where there is none of that name.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Network<'a> {
    #[serde(borrow)]
    pub(super) time: Option<Time<'a>>,
    pub(super) rx_bytes: Option<u64>,
    pub(super) rx_errors: Option<u64>,
    pub(super) tx_bytes: Option<u64>,
    pub(super) tx_errors: Option<u64>,
    #[serde(borrow)]
    pub(super) interfaces: Option<Vec<Interface<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Interface<'a> {
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    pub(super) rx_bytes: Option<u64>,
    pub(super) rx_errors: Option<u64>,
    pub(super) tx_bytes: Option<u64>,
    pub(super) tx_errors: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filesystem<'a> {
    #[serde(borrow)]
    pub(super) time: Option<Time<'a>>,
    pub(super) available_bytes: Option<u64>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) used_bytes: Option<u64>,
    pub(super) inodes_free: Option<u64>,
    pub(super) inodes: Option<u64>,
}

/// A [`Filesystem`] with a name. (Flattening one into the other would make serde collect it first.)
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Volume<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) time: Option<Time<'a>>,
    pub(super) available_bytes: Option<u64>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) used_bytes: Option<u64>,
    pub(super) inodes_free: Option<u64>,
    pub(super) inodes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accelerator<'a> {
    #[serde(borrow, default)]
    pub(super) make: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    pub(super) memory_total: Option<u64>,
    pub(super) memory_used: Option<u64>,
    pub(super) duty_cycle: Option<u64>,
}

/// A metric that a container exposes itself.
#[derive(Deserialize)]
pub(super) struct UserDefined<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    /// `gauge`, `cumulative` or `delta`.
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) units: Text<'a>,
    #[serde(borrow)]
    pub(super) labels: Option<Entries<'a, Text<'a>>>,
    pub(super) value: f64,
}

/// A time that is read when somebody asks: most are those of samples whose times do not matter.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Time<'a>(#[serde(borrow)] pub(super) Text<'a>);

impl Time<'_> {
    /// In milliseconds since 1970; none for Go's zero time and for what is no time.
    pub(super) fn ms(&self) -> Option<i64> {
        Timestamp::parse(&self.0).and_then(Timestamp::known)
    }
}
