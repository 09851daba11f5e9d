//! The whole program: listeners, actors, sinks, model and HTTP, for every binary that has a master.

use std::{io, net::SocketAddr, sync::Arc};

use actix::{Actor, ArbiterHandle, AsyncContext, Context};
use anyhow::Context as _;
use heapster_shared::spec::Spec;
use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{SinkChild, SinkHandle, exit::ExitGuard, model::ModelActor, sink::SinkActor},
    args::MasterArgs,
    http::{self, AppState},
    server::{Arbiters, Master},
    sinks::{self, Configured},
};
