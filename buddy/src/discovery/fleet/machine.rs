//! A machine as fleet describes it: in etcd as `{"ID":..,"PublicIP":..,"Metadata":{..},..}`, in its
//! own API as `{"id":..,"primaryIP":..,"metadata":{..}}`.

use std::collections::BTreeMap;

use compact_str::CompactString;
use heapster_shared::host::Host;
use serde::Deserialize;

use super::super::address::{Address, check_name};

/// What a machine is called.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
#[serde(rename_all = "lowercase")]
pub(super) enum Naming {
    #[default]
    Id,
    Ip,
}

/// A machine. `null` is what fleet writes for no metadata.
#[derive(Deserialize, Debug)]
pub(super) struct Machine {
    #[serde(alias = "ID")]
    id: CompactString,
    #[serde(default, alias = "PublicIP", alias = "primaryIP")]
    ip: CompactString,
    #[serde(default, alias = "Metadata")]
    metadata: Option<BTreeMap<CompactString, CompactString>>,
}

impl Machine {
    /// As a host: by its id, which stays, at its public address, with its metadata as labels.
    ///
    /// # Errors
    /// A sentence, when it cannot be polled.
    pub(super) fn host(self, naming: Naming) -> Result<Host, String> {
        let Self { id, ip, metadata } = self;
        check_name(&id)?;
        if ip.is_empty() {
            return Err(format!(
                "machine {id} has no public IP; set `public_ip` in its fleet.conf"
            ));
        }
        let address = Address::parse(&ip).map_err(|error| format!("machine {id}: {error}"))?;
        let mut host = Host::named(&id);
        if naming == Naming::Ip {
            host.name = address.host.clone();
        }
        host.addresses = vec![address.host];
        host.labels = metadata.unwrap_or_default().into_iter().collect();
        Ok(host)
    }
}

/// The host of a key below the directory of machines, `ID/object`; none of any other key.
///
/// # Errors
/// A sentence, when it is no machine, or another one than the key says.
pub(super) fn host_of_object(
    key: &str,
    value: &str,
    naming: Naming,
) -> Result<Option<Host>, String> {
    let Some((id, "object")) = key.trim_start_matches('/').split_once('/') else { return Ok(None) };
    let machine: Machine = serde_json::from_str(value).map_err(|error| error.to_string())?;
    if machine.id != id {
        return Err(format!("the machine says that it is `{}`", machine.id));
    }
    machine.host(naming).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_fleetd() {
        let value = r#"{"ID":"5f0c","PublicIP":"10.0.0.1","Metadata":{"role":"a","zone":"b"},"Capabilities":{"GRPC":false},"Version":"1.0.0"}"#;
        let host = host_of_object("5f0c/object", value, Naming::Id).unwrap().unwrap();
        assert_eq!((host.id.as_str(), host.name.as_str()), ("5f0c", "5f0c"));
        assert_eq!(host.addresses, ["10.0.0.1"]);
        assert_eq!(host.labels.joined(","), "role:a,zone:b");
        let host = host_of_object("5f0c/object", value, Naming::Ip).unwrap().unwrap();
        assert_eq!((host.id.as_str(), host.name.as_str()), ("5f0c", "10.0.0.1"));
        let value = r#"{"ID":"a","PublicIP":"fd00::1","Metadata":null}"#;
        let host = host_of_object("a/object", value, Naming::Id).unwrap().unwrap();
        assert_eq!((host.addresses[0].as_str(), host.labels.is_empty()), ("fd00::1", true));
        assert_eq!(host_of_object("a/other", "x", Naming::Id), Ok(None));
        assert_eq!(host_of_object("object", "x", Naming::Id), Ok(None));
    }

    #[test]
    fn what_is_no_machine_says_why() {
        for (value, expected) in [
            ("{", "line 1"),
            (r#"{"PublicIP":"10.0.0.1"}"#, "missing field `id`"),
            (r#"{"ID":"b","PublicIP":"10.0.0.1"}"#, "says that it is `b`"),
            (r#"{"ID":"a","PublicIP":""}"#, "machine a has no public IP"),
            (r#"{"ID":"a","PublicIP":"a b"}"#, "machine a: `a b` is no name"),
        ] {
            let error = host_of_object("a/object", value, Naming::Id).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
