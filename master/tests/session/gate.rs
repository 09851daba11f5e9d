//! A sink as the program runs it, whose peer answers nothing while its gate is shut.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::Actor;
use async_trait::async_trait;
use heapster_master::{
    actors::{SinkChild, SinkHandle, sink::SinkActor},
    core::room::Room,
    delivery::Payload,
    server::Arbiters,
    sinks::{CommonOptions, Configured, Sink, SinkError, Written},
};
use heapster_shared::units::ByteSize;
use tokio::{runtime::Handle, sync::watch};

/// The peer, and what the sink in front of it holds.
pub struct Gate {
    open: watch::Sender<bool>,
    /// Cluster and tick of each batch of rows that was written, in order.
    written: Mutex<Vec<(String, i64)>>,
    options: CommonOptions,
    pub room: Arc<Room>,
}

impl Gate {
    /// Shut, with a sink of this queue in front of it.
    pub fn shut(queue: ByteSize) -> Arc<Self> {
        let options = CommonOptions {
            required: true,
            queue_bytes: queue,
            flush_interval: Duration::from_millis(5),
            timeout: Duration::from_millis(200),
            retry_first: Duration::from_millis(5),
            retry_longest: Duration::from_millis(50),
            ..CommonOptions::default()
        };
        Arc::new(Self {
            open: watch::Sender::new(false),
            written: Mutex::default(),
            options,
            room: Arc::new(Room::new(queue.bytes())),
        })
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    pub fn written(&self) -> Vec<(String, i64)> {
        self.written.lock().unwrap().clone()
    }

    /// The sink, under this name.
    pub fn child(self: &Arc<Self>, name: &'static str, arbiters: &Arbiters) -> SinkChild {
        let configured = Configured {
            name: name.into(),
            kind: "gate".into(),
            options: self.options.clone(),
            sink: Arc::new(Gated(Arc::clone(self))),
        };
        let room = Arc::clone(&self.room);
        let make = SinkActor::factory_in(configured, Handle::current(), Arc::clone(&room));
        let arbiter = arbiters.handles()[1].clone();
        let start = move |guard| {
            let actor = make.clone();
            let address = SinkActor::start_in_arbiter(&arbiter, move |_| actor().guarded(guard));
            SinkHandle::new(name.into(), true, address).holding_in(Arc::clone(&room))
        };
        SinkChild {
            name: name.into(),
            required: true,
            mailbox_bound: SinkActor::MAILBOX,
            start: Box::new(start),
        }
    }
}

struct Gated(Arc<Gate>);

#[async_trait]
impl Sink for Gated {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let mut open = self.0.open.subscribe();
        open.wait_for(|open| *open).await.unwrap();
        let mut delivered = 0;
        for payload in payloads {
            delivered += payload.samples();
            if let Payload::Rows(rows) = payload {
                self.0.written.lock().unwrap().push((rows.cluster.to_string(), rows.tick.0));
            }
        }
        Ok(Written { delivered, ..Written::default() })
    }
}
