//! What the machine's interfaces have carried, from `net/dev`.
//!
//! A packet to a container passes a bridge, a veth and perhaps a tunnel besides the card, so only
//! interfaces that look like cards count, told by their names: those of containers, bridges, bonds,
//! VLANs and tunnels are left out. cAdvisor reads the one interface of the default route instead;
//! the two differ on machines with several cards.

use crate::source::cgroup::files::{lines, number, words};

/// Beginnings of the names of interfaces whose packets pass another one too, or never leave.
const NOT_PHYSICAL: [&str; 39] = [
    "lo",
    "veth",
    "docker",
    "bridge",
    "virbr",
    "vnet",
    "cni",
    "cbr",
    "cali",
    "cilium",
    "lxc",
    "lxd",
    "flannel",
    "weave",
    "vxlan",
    "geneve",
    "kube",
    "nodelocaldns",
    "podman",
    "tun",
    "tap",
    "wg",
    "tailscale",
    "zt",
    "ppp",
    "gre",
    "gretap",
    "erspan",
    "sit",
    "ip6",
    "ipip",
    "ifb",
    "dummy",
    "nlmon",
    "bond",
    "team",
    "macv",
    "ovs",
    "azv",
];

/// Sums over interfaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct NetworkSum {
    pub(super) rx_bytes: u64,
    pub(super) rx_errors: u64,
    pub(super) tx_bytes: u64,
    pub(super) tx_errors: u64,
}

/// Sums over the interfaces of these names, or over those that look physical where no name is
/// given; `None` when there is no such interface.
pub(super) fn sum(text: &[u8], interfaces: &[String]) -> Option<NetworkSum> {
    let wanted = |name: &str| match interfaces {
        [] => looks_physical(name),
        names => names.iter().any(|wanted| wanted == name),
    };
    let of_interfaces = lines(text).filter_map(interface).filter(|(name, _)| wanted(name));
    of_interfaces.map(|(_, counters)| counters).reduce(|sum, counters| NetworkSum {
        rx_bytes: sum.rx_bytes.saturating_add(counters.rx_bytes),
        rx_errors: sum.rx_errors.saturating_add(counters.rx_errors),
        tx_bytes: sum.tx_bytes.saturating_add(counters.tx_bytes),
        tx_errors: sum.tx_errors.saturating_add(counters.tx_errors),
    })
}

/// VLANs are `eth0.100`, and aliases have a colon or an `@`.
fn looks_physical(name: &str) -> bool {
    let bridge_number = name.strip_prefix("br").unwrap_or_default();
    let is_bridge = bridge_number.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let is_virtual = NOT_PHYSICAL.iter().any(|prefix| name.starts_with(prefix));
    !name.contains(['.', ':', '@']) && !is_bridge && !is_virtual
}

/// `NAME: bytes packets errs drop fifo frame compressed multicast bytes packets errs ...`
fn interface(line: &[u8]) -> Option<(&str, NetworkSum)> {
    let colon = line.iter().rposition(|byte| *byte == b':')?;
    let name = std::str::from_utf8(&line[..colon]).ok()?.trim();
    let mut counters = words(&line[colon + 1..]).map(number);
    let rx_bytes = counters.next()??;
    let rx_errors = counters.nth(1)??;
    let tx_bytes = counters.nth(5)??;
    let tx_errors = counters.nth(1)??;
    Some((name, NetworkSum { rx_bytes, rx_errors, tx_bytes, tx_errors }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Inter-|   Receive                            |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";

    fn text(lines: &[&str]) -> String {
        HEADER.to_owned() + &lines.join("\n")
    }

    #[test]
    fn cards_count_and_what_passes_them_does_not() {
        let text = text(&[
            "    lo:    3193      29    1    0    0     0          0         0     3193      29    1    0    0     0       0          0",
            "  eth0: 241543584    8481    2    0    0     0          0         0   487041    4803    3    0    0     0       0          0",
            "enp5s0:16 1 4 0 0 0 0 0 32 1 5 0 0 0 0 0",
            "eth0.100: 9 9 9 0 0 0 0 0 9 9 9 0 0 0 0 0",
            "veth12ab: 9 9 9 0 0 0 0 0 9 9 9 0 0 0 0 0",
            "docker0: 9 9 9 0 0 0 0 0 9 9 9 0 0 0 0 0",
            "br1: 9 9 9 0 0 0 0 0 9 9 9 0 0 0 0 0",
            "br-77aa: 9 9 9 0 0 0 0 0 9 9 9 0 0 0 0 0",
            "bond0: 9 9 9 0 0 0 0 0 9 9 9 0 0 0 0 0",
            "broken: 9 9",
        ]);
        let wanted =
            NetworkSum { rx_bytes: 241_543_600, rx_errors: 6, tx_bytes: 487_073, tx_errors: 8 };
        assert_eq!(sum(text.as_bytes(), &[]), Some(wanted));
        let chosen = sum(text.as_bytes(), &["bond0".to_owned()]).unwrap();
        assert_eq!((chosen.rx_bytes, chosen.tx_errors), (9, 9));
        assert_eq!(sum(text.as_bytes(), &["wlan0".to_owned()]), None);
        assert_eq!(sum(HEADER.as_bytes(), &[]), None);
    }
}
