//! A way in for fuzzing: reads answers, files and keys as discoveries do, without who gives them.

use std::path::Path;

use heapster_shared::host::Host;

use super::{
    consul::Consul,
    dns,
    docker::Docker,
    entry::host_of_value,
    fleet::{KeysV2, MachinesApi},
    nomad, static_file,
    swarm::Swarm,
    web::{Answer, Found},
};

/// What can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Text {
    ConsulNodes,
    ConsulService,
    Dns,
    Docker,
    EtcdValue,
    FleetKeys,
    FleetMachines,
    HostsFile,
    HostsFileYaml,
    HttpSd,
    Nomad,
    Swarm,
}

/// The hosts that a text names, and how many entries were left out.
///
/// # Errors
/// When it is no such text.
pub fn hosts(of: Text, body: &[u8]) -> Result<(Vec<Host>, usize), String> {
    let text = || std::str::from_utf8(body).map_err(|error| error.to_string());
    let found = match of {
        Text::ConsulNodes => Consul::read(false, body)?,
        Text::ConsulService => Consul::read(true, body)?,
        Text::Dns => dns::read(body)?,
        Text::Docker => Docker::read(body)?,
        Text::EtcdValue => all(vec![host_of_value("n1", text()?)?]),
        Text::FleetKeys => KeysV2::read(body)?,
        Text::FleetMachines => MachinesApi::read(body)?,
        Text::HostsFile => all(static_file::hosts(Path::new("hosts.json"), text()?)?),
        Text::HostsFileYaml => all(static_file::hosts(Path::new("hosts.yaml"), text()?)?),
        Text::HttpSd => all(static_file::hosts_of_groups(text()?)?),
        Text::Nomad => nomad::found(&Answer::with_body(body))?,
        Text::Swarm => Swarm::read(body)?,
    };
    Ok((found.hosts, found.left_out.len()))
}

fn all(hosts: Vec<Host>) -> Found {
    Found { hosts, left_out: Vec::new() }
}
