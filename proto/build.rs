//! Compiles the protocol with protox, so that no `protoc` is needed, and keeps the descriptor for
//! the reflection service.

use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["heapster/v1/heapster.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("heapster.v1.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".heapster.v1.Column.absent").compile_fds(descriptors)?;
    // What sinks write, which is no part of the protocol between the programs.
    let exported = protox::compile(["heapster/export/v1/row.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(exported)?;
    Ok(())
}
