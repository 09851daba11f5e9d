//! Generated types of the protocol between buddies and the master.
//!
//! The contract itself, with its reasons, is `proto/heapster/v1/heapster.proto`; only the edges of
//! the two programs (`buddy::uplink`, `master::grpc`) use these types.

/// Version 1 of the protocol.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("heapster.v1");

    /// The encoded `FileDescriptorSet`, for server reflection and for tests of compatibility.
    pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/heapster.v1.bin"));
}

/// What sinks write for others to read, by `proto/heapster/export/`.
pub mod export {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
    pub mod v1 {
        tonic::include_proto!("heapster.export.v1");
    }
}

/// The newest protocol version that this crate speaks.
pub const VERSION: u32 = 1;
