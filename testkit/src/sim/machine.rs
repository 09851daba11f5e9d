//! The machine behind a host: its size, and cAdvisor's `/machine`.

use super::{
    identity::{host_name, mix},
    json::{Out, number, string, text},
    view::HostView,
};

/// Size of a host's one disk.
pub(super) const DISK_BYTES: u64 = 500 << 30;
/// Inodes of that disk.
pub(super) const INODES: u64 = 32 << 20;
/// Inodes of it that are free.
pub(super) const INODES_FREE: u64 = 31 << 20;
/// The id of the run of the kernel.
pub(super) const BOOT_ID: &str = "0e073e5c-ed51-4bff-b797-5cb55fc8659c";
/// "No limit" as cAdvisor reports it for memory.
pub(super) const NO_LIMIT: u64 = 9_223_372_036_854_771_712;

impl HostView<'_> {
    /// Enough cores for what runs there.
    pub(super) fn cores(&self) -> u64 {
        (self.config().containers_per_host() as u64 / 8 + 2).next_multiple_of(2)
    }

    /// Enough memory for what runs there.
    pub(super) fn memory_bytes(&self) -> u64 {
        (4 << 30) + self.config().containers_per_host() as u64 * (320 << 20)
    }

    /// 32 hexadecimal digits, as in `/etc/machine-id`.
    pub(super) fn machine_id(&self) -> String {
        let half = |part| mix(&[self.config().seed, 4, self.host() as u64, part]);
        format!("{:016x}{:016x}", half(0), half(1))
    }
}

/// The answer of `/api/v2.1/machine` and `/api/v1.3/machine`.
pub(super) fn machine(view: &HostView<'_>) -> Out {
    let mut out = Out::with_capacity(2048);
    let id = view.machine_id();
    number(&mut out, r#"{"num_cores":"#, view.cores());
    number(&mut out, r#","cpu_frequency_khz":2600000,"memory_capacity":"#, view.memory_bytes());
    text(&mut out, r#","hugepages":[{"page_size":2048,"num_pages":0}]"#);
    string(&mut out, r#","machine_id":"#, &id);
    string(&mut out, r#","system_uuid":"#, &id);
    string(&mut out, r#","boot_id":"#, BOOT_ID);
    number(&mut out, r#","filesystems":[{"device":"/dev/sda1","capacity":"#, DISK_BYTES);
    number(&mut out, r#","type":"vfs","inodes":"#, INODES);
    number(
        &mut out,
        r#","has_inodes":true}],"disk_map":{"8:0":{"name":"sda","major":8,"minor":0,"size":"#,
        DISK_BYTES,
    );
    text(&mut out, r#","scheduler":"none"}},"network_devices":[{"name":"eth0","#);
    text(&mut out, r#""mac_address":"02:00:00:00:00:01","speed":10000,"mtu":1500}],"topology":[]"#);
    text(&mut out, r#","cloud_provider":"Unknown","instance_type":"Unknown","instance_id":"#);
    string(&mut out, "", &host_name(view.host()));
    text(&mut out, "}");
    out
}
