//! A buddy that has a log to send, as fast as its credit allows.

use anyhow::{Context as _, bail, ensure};
use heapster_proto::v1::{
    self, block::Form, frame::Kind, heapster_client::HeapsterClient, receipt, to_buddy,
};
use heapster_shared::entity::Level;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use super::frames::{NODE_LAYOUT, blocks, entities_of, layout};

/// Hosts in the log, in turn.
const HOSTS: u32 = 20;
/// Frames that may wait for sinks at a time: past what the master holds it sends them back.
const MOST_UNDER_WAY: u64 = 128;
const TICK_MS: u64 = 1_795_345_200_000;

/// An Ingest stream.
pub(crate) struct Sender {
    frames: mpsc::Sender<v1::Frame>,
    receipts: Streaming<v1::Receipt>,
    credit: u64,
    sequence: u64,
    delivered: u64,
    _control: (mpsc::Sender<v1::FromBuddy>, Streaming<v1::ToBuddy>),
}

impl Sender {
    /// Connects, and sends what the frames are made of.
    pub(crate) async fn connect(url: String) -> anyhow::Result<Self> {
        let channel = Channel::from_shared(url)?.connect().await?;
        let mut client = HeapsterClient::new(channel);
        let (control, outbound) = mpsc::channel(4);
        let hello = v1::Hello {
            versions: vec![1],
            buddy_id: "bench".into(),
            instance_id: "one".into(),
            cluster: "lab".into(),
            roles: vec![v1::Role::Discovers.into(), v1::Role::Polls.into()],
            ..v1::Hello::default()
        };
        let kind = Some(v1::from_buddy::Kind::Hello(hello));
        control.send(v1::FromBuddy { kind }).await?;
        let mut inbound = client.control(ReceiverStream::new(outbound)).await?.into_inner();
        let welcome = inbound.message().await?.and_then(|message| message.kind);
        let Some(to_buddy::Kind::Welcome(welcome)) = welcome else { bail!("no welcome") };
        let (frames, outbound) = mpsc::channel(16);
        let receipts = client.ingest(ReceiverStream::new(outbound)).await?.into_inner();
        let _control = (control, inbound);
        let mut sender = Self { frames, receipts, credit: 0, sequence: 0, delivered: 0, _control };
        sender.define(welcome.session_id).await?;
        Ok(sender)
    }

    async fn define(&mut self, session_id: String) -> anyhow::Result<()> {
        let open = v1::Open {
            session_id,
            instance_id: "one".into(),
            segment: 1,
            purpose: v1::open::Purpose::Live.into(),
            delivered_through: 0,
        };
        self.send(0, Kind::Open(open)).await?;
        let levels = [Level::Node, Level::Pod, Level::PodContainer];
        let layouts = (NODE_LAYOUT..).zip(levels).map(|(id, level)| layout(id, level)).collect();
        self.send(0, Kind::Define(v1::Define { layouts, ..v1::Define::default() })).await?;
        for host in 0..HOSTS {
            let entities = entities_of(host);
            self.send(0, Kind::Define(v1::Define { entities, ..v1::Define::default() })).await?;
            self.batch(host, Form::Absolute).await?;
        }
        Ok(())
    }

    async fn batch(&mut self, host: u32, form: Form) -> anyhow::Result<()> {
        while self.sequence - self.delivered >= MOST_UNDER_WAY {
            self.receive().await?;
        }
        self.sequence += 1;
        let tick = self.sequence / u64::from(HOSTS);
        let batch = v1::Batch { tick_unix_ms: TICK_MS + tick * 15_000, blocks: blocks(host, form) };
        self.send(self.sequence, Kind::Batch(batch)).await
    }

    /// Sends so many frames more.
    pub(crate) async fn more(&mut self, frames: u32) -> anyhow::Result<()> {
        for number in 0..frames {
            self.batch(number % HOSTS, Form::Difference).await?;
        }
        Ok(())
    }

    /// Frames sent so far.
    pub(crate) const fn sent(&self) -> u64 {
        self.sequence
    }

    /// Waits until all is acknowledged.
    pub(crate) async fn delivered(&mut self) -> anyhow::Result<()> {
        while self.delivered < self.sequence {
            self.receive().await?;
        }
        Ok(())
    }

    async fn send(&mut self, sequence: u64, kind: Kind) -> anyhow::Result<()> {
        let frame = v1::Frame { sequence, kind: Some(kind) };
        let bytes = frame.encoded_len() as u64;
        while self.credit < bytes {
            self.receive().await?;
        }
        self.credit -= bytes;
        self.frames.send(frame).await.context("the stream has ended")
    }

    async fn receive(&mut self) -> anyhow::Result<()> {
        let receipt = self.receipts.message().await?.context("the stream has ended")?;
        match receipt.kind {
            Some(receipt::Kind::Credit(credit)) => self.credit += credit.bytes,
            Some(receipt::Kind::Delivery(delivery)) => {
                let outcome = delivery.outcome();
                ensure!(outcome == v1::delivery::Outcome::Delivered, "{}", delivery.message);
                self.delivered += delivery.last_sequence - delivery.first_sequence + 1;
            }
            None => {}
        }
        Ok(())
    }
}
