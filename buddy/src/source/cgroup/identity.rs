//! Who this machine is.

use std::path::Path;

use compact_str::CompactString;
use heapster_shared::{entity::Labels, tag};

/// Where a machine keeps an identity that outlives its name, best first.
const ID_FILES: [&str; 3] =
    ["/etc/machine-id", "/var/lib/dbus/machine-id", "/sys/class/dmi/id/product_uuid"];

/// Names of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    /// The node name that samples carry.
    pub(super) name: CompactString,
    /// `hostname`, and `host_id` where one is known.
    pub(super) labels: Labels,
}

impl Identity {
    /// Reads the names of the machine whose root is at `rootfs`, which is empty for our own. Inside
    /// a container our own host name is the container's, so `etc/hostname` below `rootfs` goes first.
    pub(super) fn read(name: Option<&str>, rootfs: &str) -> Self {
        let file =
            (!rootfs.is_empty()).then(|| first_line(Path::new(&format!("{rootfs}/etc/hostname"))));
        let hostname = file.flatten().unwrap_or_else(own_hostname);
        let host_id =
            ID_FILES.iter().find_map(|file| first_line(Path::new(&format!("{rootfs}{file}"))));
        let mut labels = vec![(tag::HOSTNAME, hostname.clone())];
        labels.extend(host_id.map(|id| (tag::HOST_ID, id)));
        let name = name.map_or(hostname, CompactString::from);
        Self { name, labels: labels.into_iter().collect() }
    }
}

fn own_hostname() -> CompactString {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".into() } else { name.into() }
}

fn first_line(path: &Path) -> Option<CompactString> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    // A machine image that was never started says so in place of an id.
    (!line.is_empty() && line != "uninitialized").then(|| line.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_the_machine_tells_its_names() {
        let directory = tempfile::tempdir().unwrap();
        let rootfs = directory.path().to_str().unwrap();
        std::fs::create_dir_all(directory.path().join("etc")).unwrap();
        std::fs::write(directory.path().join("etc/hostname"), "web-7\n").unwrap();
        std::fs::write(directory.path().join("etc/machine-id"), "3d12\n").unwrap();
        let identity = Identity::read(None, rootfs);
        assert_eq!(identity.name, "web-7");
        assert_eq!(identity.labels.joined(","), "host_id:3d12,hostname:web-7");
        let named = Identity::read(Some("node-a"), rootfs);
        assert_eq!((named.name.as_str(), named.labels), ("node-a", identity.labels));
        std::fs::write(directory.path().join("etc/machine-id"), "uninitialized\n").unwrap();
        assert_eq!(Identity::read(None, rootfs).labels.get("host_id"), None);
    }
}
