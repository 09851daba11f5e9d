//! Frames go out as the bytes that the spool has; receipts come in as messages.

use bytes::{BufMut, Bytes};
use heapster_proto::v1::Receipt;
use prost::Message;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// The codec of Ingest on the buddy's side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IngestCodec;

impl Codec for IngestCodec {
    type Encode = Bytes;
    type Decode = Receipt;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for IngestCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, frame: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(frame);
        Ok(())
    }
}

impl Decoder for IngestCodec {
    type Item = Receipt;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Receipt>, Status> {
        let receipt = Receipt::decode(buffer);
        receipt.map(Some).map_err(|error| Status::internal(format!("a broken receipt: {error}")))
    }
}
