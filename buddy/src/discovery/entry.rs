//! One entry of a list of hosts, as files and etcd have it.
//!
//! Two forms: a host, `{"name":"a","ip":"10.0.0.1"}`, as the ancestor's hosts file has it (further
//! `addresses`, `port`, `scheme` and `labels`); and a group of Prometheus' `file_sd`,
//! `{"targets":["10.0.0.1:8080"],"labels":{..}}`. Keys are read in any letter case, and others are
//! ignored, as the ancestor did.

use std::fmt;

use compact_str::CompactString;
use heapster_shared::{entity::Labels, host::Host};
use serde::{Deserialize, Deserializer, de};

use super::address::{Address, check_name};

/// Names a target, in the ways of Prometheus.
const INSTANCE: &str = "instance";
/// Says the scheme of a target; other labels with two underscores are Prometheus' own affair.
const SCHEME: &str = "__scheme__";

/// The hosts of an entry, checked: a host has a name and an address, a group has any number.
#[derive(Debug)]
pub(super) struct Entry(pub(super) Vec<Host>);

/// An entry as it is written.
#[derive(Default)]
struct Fields {
    name: Option<CompactString>,
    addresses: Vec<CompactString>,
    port: Option<u16>,
    scheme: CompactString,
    targets: Option<Vec<CompactString>>,
    labels: Vec<(CompactString, Scalar)>,
}

/// A label's value: YAML makes numbers and booleans of what looks like them.
struct Scalar(CompactString);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ScalarVisitor;

impl de::Visitor<'_> for ScalarVisitor {
    type Value = CompactString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<CompactString, E> {
        Ok(text.into())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<CompactString, E> {
        Ok(compact_str::format_compact!("{value}"))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<CompactString, E> {
        Ok(compact_str::format_compact!("{value}"))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<CompactString, E> {
        Ok(compact_str::format_compact!("{value}"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<CompactString, E> {
        Ok(compact_str::format_compact!("{value}"))
    }
}

/// Labels in the order in which they are written.
struct Pairs(Vec<(CompactString, Scalar)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map: std::collections::BTreeMap<CompactString, Scalar> =
            Option::deserialize(deserializer)?.unwrap_or_default();
        Ok(Self(map.into_iter().collect()))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor { name: None }).map(Self)
    }
}

/// Reads an entry; the name is that of a host whose entry need not say it.
struct EntryVisitor<'n> {
    name: Option<&'n str>,
}

impl<'de> de::Visitor<'de> for EntryVisitor<'_> {
    type Value = Vec<Host>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host with `name` and `ip`, or a group with `targets`")
    }

    /// Checks here and not later, so that the error has the line.
    fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<Vec<Host>, M::Error> {
        let mut fields = Fields { name: self.name.map(Into::into), ..Fields::default() };
        while let Some(key) = map.next_key::<String>()? {
            match key.to_ascii_lowercase().as_str() {
                "name" => fields.name = Some(map.next_value()?),
                "ip" => fields.addresses.insert(0, map.next_value()?),
                "addresses" => fields.addresses.extend(map.next_value::<Vec<CompactString>>()?),
                "port" => fields.port = Some(map.next_value()?),
                "scheme" => fields.scheme = map.next_value()?,
                "targets" => fields.targets = Some(map.next_value()?),
                "labels" => fields.labels = map.next_value::<Pairs>()?.0,
                _ => drop(map.next_value::<de::IgnoredAny>()?),
            }
        }
        fields.hosts().map_err(de::Error::custom)
    }
}

impl Fields {
    fn hosts(mut self) -> Result<Vec<Host>, String> {
        match self.targets.take() {
            Some(targets) => self.group(&targets),
            None => self.host().map(|host| vec![host]),
        }
    }

    fn host(self) -> Result<Host, String> {
        let name = self.name.ok_or("a host has no `name` (nor is it a group with `targets`)")?;
        check_name(&name)?;
        if self.addresses.is_empty() {
            return Err(format!("host `{name}` has neither `ip` nor `addresses`"));
        }
        let mut host = Host::named(&name);
        host.labels = labels(&self.labels);
        let mut port = self.port.unwrap_or(0);
        for text in &self.addresses {
            let address = Address::parse(text)?;
            if !host.addresses.contains(&address.host) {
                host.addresses.push(address.host);
            }
            port = if port == 0 { address.port } else { port };
        }
        let first = Address { host: CompactString::default(), port };
        host.endpoints = first.endpoints(checked_scheme(&self.scheme)?);
        Ok(host)
    }

    fn group(self, targets: &[CompactString]) -> Result<Vec<Host>, String> {
        let label = |name: &str| {
            let found = self.labels.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.0.as_str())
        };
        let scheme = checked_scheme(label(SCHEME).unwrap_or_default())?;
        let instance = label(INSTANCE).filter(|_| targets.len() == 1);
        let host_of = |target: &CompactString| {
            let address = Address::parse(target)?;
            let mut host = Host::named(instance.unwrap_or(&address.host));
            host.endpoints = address.endpoints(scheme);
            host.addresses = vec![address.host];
            host.labels = labels(&self.labels);
            Ok(host)
        };
        targets.iter().map(host_of).collect()
    }
}

fn checked_scheme(scheme: &str) -> Result<&str, String> {
    match scheme {
        "" | "http" | "https" => Ok(scheme),
        _ => Err(format!("scheme `{scheme}` is neither http nor https")),
    }
}

/// The labels that are the host's own.
fn labels(pairs: &[(CompactString, Scalar)]) -> Labels {
    let own = pairs.iter().filter(|(name, _)| !name.starts_with("__") && name != INSTANCE);
    own.map(|(name, value)| (name.clone(), value.0.clone())).collect()
}

/// The host that a value under a key says: an object as above, an address with or without a port,
/// or nothing where the name is the address.
///
/// # Errors
/// A sentence for the value's author.
pub(super) fn host_of_value(id: &str, value: &str) -> Result<Host, String> {
    check_name(id)?;
    let value = value.trim();
    if !value.starts_with('{') {
        let address = Address::parse(if value.is_empty() { id } else { value })?;
        let mut host = Host::named(id);
        host.endpoints = address.endpoints("");
        host.addresses = vec![address.host];
        return Ok(host);
    }
    let mut json = serde_json::Deserializer::from_str(value);
    let hosts = de::Deserializer::deserialize_map(&mut json, EntryVisitor { name: Some(id) });
    let mut hosts =
        hosts.and_then(|hosts| json.end().map(|()| hosts)).map_err(|e| e.to_string())?;
    match (hosts.pop(), hosts.len()) {
        (Some(mut host), 0) => {
            host.id = id.into();
            Ok(host)
        }
        _ => Err("a key has one host, not a group of targets".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_an_object_or_an_address() {
        let host =
            host_of_value("n1", r#"{"IP":"10.0.0.1","port":4194,"labels":{"rack":"r1"}}"#).unwrap();
        assert_eq!((host.id.as_str(), host.name.as_str()), ("n1", "n1"));
        assert_eq!(host.addresses, ["10.0.0.1"]);
        assert_eq!(host.endpoints[0].port, 4194);
        assert_eq!(host.labels.get("rack"), Some("r1"));
        let host =
            host_of_value("n1", r#"{"name":"web","addresses":["web.lan","10.0.0.1:9"]}"#).unwrap();
        assert_eq!((host.id.as_str(), host.name.as_str()), ("n1", "web"));
        assert_eq!(host.addresses, ["web.lan", "10.0.0.1"]);
        let host = host_of_value("n1", "[fd00::1]:8080").unwrap();
        assert_eq!((host.addresses[0].as_str(), host.endpoints[0].port), ("fd00::1", 8080));
        assert_eq!(host_of_value("n1.lan", " \n").unwrap().addresses, ["n1.lan"]);
    }

    #[test]
    fn a_wrong_value_says_what_is_wrong() {
        for (value, expected) in [
            ("{\"ip\":\"10.0.0.1\"", "line 1"),
            ("{}", "neither `ip` nor `addresses`"),
            ("{\"ip\":\"10.0.0.1\"} x", "trailing"),
            ("{\"ip\":\"a b\"}", "`a b` is no name"),
            ("{\"ip\":\"a\",\"scheme\":\"ftp\"}", "neither http nor https"),
            ("{\"targets\":[\"a\",\"b\"]}", "one host"),
            ("10.0.0.1:x", "no port"),
        ] {
            let error = host_of_value("n1", value).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
