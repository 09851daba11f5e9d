//! The reading half of a master, without its actors.

use heapster_buddy::uplink::WriteLimits;
use heapster_master::{
    actors::cluster::Resolved,
    core::entities::Entities,
    grpc::decode::{Content, ReaderLimits, SegmentReader},
};
use heapster_proto::v1::Frame;
use heapster_shared::entity::EntityId;
use prost::Message;

/// A reader, and the tables of a cluster behind it.
pub(crate) struct Master {
    reader: SegmentReader,
    entities: Entities,
}

fn limits(told: WriteLimits) -> ReaderLimits {
    ReaderLimits {
        max_frame_bytes: told.frame_bytes,
        max_entities: told.entities as usize,
        max_labels: told.labels,
        max_label_bytes: told.label_bytes,
        max_fields: 4096,
        max_layouts: 4096,
        max_cells: told.frame_bytes,
        max_kept: told.entities as usize * 64,
    }
}

impl Master {
    /// A master that takes just what the buddy was told.
    pub(crate) fn new(told: WriteLimits) -> Self {
        let entities = Entities::starting_after(EntityId(0));
        Self { reader: SegmentReader::new(limits(told)), entities }
    }

    /// A new stream to the same cluster, over which the buddy is told of these limits.
    pub(crate) fn reopened(self, told: WriteLimits) -> Self {
        Self { reader: SegmentReader::new(limits(told)), ..self }
    }

    /// Reads a frame that has to be good.
    pub(crate) fn frame(&mut self, frame: Frame) -> Content {
        let read = self.reader.read(&frame.encode_to_vec());
        match read.unwrap_or_else(|error| panic!("{error}")).content {
            Content::Define(mut definitions) => {
                let request = std::mem::take(&mut definitions.request);
                let entities = self.entities.resolve(request.entities);
                let layouts = request.layouts.iter().map(|one| self.entities.layout(one)).collect();
                self.reader.define(definitions, Resolved { entities, layouts });
                Content::Unknown
            }
            content => content,
        }
    }
}
