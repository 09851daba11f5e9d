//! Tests of the cluster actor by itself; `tests/session.rs` has it with all that is round it.

use actix::{Arbiter, System};
use heapster_shared::entity::{Labels, Level};
use tokio::sync::mpsc;

use super::*;
use crate::{
    actors::buddy::{Identity, Pulse, Role},
    core::entities::{Parent, Unresolved},
};

fn config() -> ClusterConfig {
    ClusterConfig {
        name: "lab".into(),
        resolution: Resolution::DEFAULT,
        retention: Duration::from_secs(900),
        silence: Duration::from_secs(30),
        max_hosts: 10,
        max_entities: 2,
        router: Arc::default(),
        last_entity: Arc::default(),
    }
}

fn node(name: &str) -> ResolveDefinitions {
    let node = Unresolved {
        parent: Parent::None,
        level: Level::Node,
        name: name.into(),
        uid: "".into(),
        start_time_ms: 0,
        labels: Labels::default(),
    };
    ResolveDefinitions { entities: vec![node], layouts: Vec::new() }
}

fn identity(instance: &str) -> Identity {
    Identity {
        buddy_id: "b".into(),
        instance_id: instance.into(),
        cluster: "lab".into(),
        manager: "static".into(),
        roles: vec![Role::Polls],
        software: String::new(),
        standby: false,
        assignment_version: Some(0),
        peer: "10.0.0.1:1".into(),
        credential: String::new(),
    }
}

/// Sinks still have rows of the entities of the actor that died.
#[test]
fn a_restarted_cluster_uses_no_number_again() {
    System::new().block_on(async {
        let arbiter = Arbiter::new();
        let config = config();
        let first = Cluster::start_on(&arbiter.handle(), config.clone(), ExitGuard::new().0);
        let before = first.ask(node("a")).await.unwrap().unwrap().entities[0].id;
        let second = Cluster::start_on(&arbiter.handle(), config, ExitGuard::new().0);
        let after = second.ask(node("b")).await.unwrap().unwrap().entities[0].id;
        assert!(after > before);
    });
}

/// A buddy that makes up new names without end cannot fill the memory.
#[test]
fn entities_are_bounded() {
    System::new().block_on(async {
        let cluster = Cluster::start_on(&Arbiter::new().handle(), config(), ExitGuard::new().0);
        for name in ["a", "b"] {
            assert!(cluster.ask(node(name)).await.unwrap().is_ok());
        }
        assert_eq!(cluster.ask(node("c")).await.unwrap().unwrap_err(), TooManyEntities(2));
    });
}

/// An instance that hangs does not keep its successor out for ever.
#[test]
fn a_silent_instance_gives_way_to_a_new_one() {
    System::new().block_on(async {
        let cluster = Cluster::start_on(&Arbiter::new().handle(), config(), ExitGuard::new().0);
        let join = async |instance| {
            let (downlink, _) = mpsc::channel(1);
            cluster
                .ask(Join { identity: identity(instance), rate: Arc::default(), downlink })
                .await
                .unwrap()
        };
        let first = join("one").await.unwrap();
        assert!(matches!(join("two").await, Err(JoinError::Duplicate { .. })));
        first.record.pulse(Pulse::default(), unix_ms() - 30_500);
        assert!(join("two").await.is_ok());
        assert!(first.closed.is_cancelled(), "the old one's streams end");
    });
}
