//! Which of a machine's network interfaces count.

/// Interfaces that carry what another one of the machine carries too.
const INNER: [&str; 7] = ["veth", "docker", "br-", "cni", "cali", "flannel", "virbr"];

/// Those to sum over: without the loopback, and without those that only lead to containers as long
/// as there is another.
pub(super) fn counted<T>(all: &[T], name: impl Fn(&T) -> &str) -> Vec<&T> {
    let inner = |one: &T| INNER.iter().any(|prefix| name(one).starts_with(prefix));
    let mut counted: Vec<&T> = all.iter().filter(|one| name(one) != "lo").collect();
    if counted.iter().any(|one| !inner(one)) {
        counted.retain(|one| !inner(one));
    }
    counted
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_leads_to_containers_counts_where_nothing_else_does() {
        let counted = |all: &[&str]| super::counted(all, |name| name).len();
        assert_eq!(counted(&["lo", "eth0", "ens5", "veth1", "cni0"]), 2);
        assert_eq!(counted(&["lo", "veth1"]), 1);
        assert_eq!(counted(&["lo"]), 0);
    }
}
