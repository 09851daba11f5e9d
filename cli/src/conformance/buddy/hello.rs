//! What is wrong with a Hello.

use heapster_proto::v1::{Hello, Role};

/// The version of the protocol that is tried.
const VERSION: u32 = 1;

/// What a buddy of this cluster says wrong.
pub(super) fn wrong_with(hello: &Hello, cluster: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if !hello.versions.contains(&VERSION) {
        return Some(format!("Hello.versions is {:?}, without {VERSION}", hello.versions));
    }
    if hello.buddy_id.is_empty() || hello.instance_id.is_empty() {
        return Some("Hello has no buddy_id or no instance_id".to_owned());
    }
    let name = &hello.cluster;
    if name.is_empty() || name.len() > 253 || !name.chars().all(legal) {
        return Some(format!("Hello.cluster is {name:?}, which is no name of a cluster"));
    }
    if name != cluster {
        return Some(format!(
            "Hello.cluster is {name:?}; the buddy was asked to speak for {cluster:?}: take it from {{cluster}} or HEAPSTER_CLUSTER, or give --cluster"
        ));
    }
    if roles(hello).is_empty() {
        return Some("Hello.roles names no role".to_owned());
    }
    None
}

/// The roles that this version has.
pub(super) fn roles(hello: &Hello) -> Vec<Role> {
    let known = hello.roles.iter().filter_map(|role| Role::try_from(*role).ok());
    known.filter(|role| *role != Role::Unspecified).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_looked_at() {
        let good = Hello {
            versions: vec![2, 1],
            buddy_id: "b".into(),
            instance_id: "i".into(),
            cluster: "lab".into(),
            roles: vec![Role::Discovers.into(), 77],
            ..Hello::default()
        };
        assert_eq!(wrong_with(&good, "lab"), None);
        let wrong = |hello: Hello| wrong_with(&hello, "lab").unwrap();
        assert!(wrong(Hello { versions: vec![2], ..good.clone() }).contains("without 1"));
        assert!(wrong(Hello { instance_id: String::new(), ..good.clone() }).contains("instance"));
        assert!(wrong(Hello { cluster: "a b".into(), ..good.clone() }).contains("no name"));
        assert!(wrong(Hello { cluster: "other".into(), ..good.clone() }).contains("asked to"));
        assert!(wrong(Hello { roles: vec![0, 77], ..good }).contains("names no role"));
    }
}
