//! A peer for the `elasticsearch` sink.

use async_trait::async_trait;
use heapster_testkit::peer::{ElasticsearchMode, FakeElasticsearch};

use super::{Mode, Peer};

/// A cluster of one node.
pub(super) struct Cluster(FakeElasticsearch);

impl Cluster {
    pub(super) async fn start() -> Self {
        Self(FakeElasticsearch::start().await.unwrap())
    }
}

#[async_trait(?Send)]
impl Peer for Cluster {
    fn spec(&self) -> String {
        format!("elasticsearch:{}?pipeline=", self.0.url())
    }

    async fn set(&mut self, mode: Mode) {
        if mode == Mode::Away {
            return self.0.stop();
        }
        self.0.set(match mode {
            Mode::Accept | Mode::Slow | Mode::Away => ElasticsearchMode::Accept,
            Mode::FailForNow => ElasticsearchMode::Full,
            Mode::Refuse => ElasticsearchMode::Refuse,
            Mode::Hang => ElasticsearchMode::Hang,
        });
        self.0.restart().await.unwrap();
    }

    fn samples(&self) -> u64 {
        let documents = self.0.documents();
        let metrics = documents.values().filter_map(|document| document["metrics"].as_object());
        metrics.map(|metrics| metrics.len() as u64).sum()
    }
}
