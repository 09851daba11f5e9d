//! What was released of the protocol stands: `released/heapster-v1.binpb` holds the descriptor that
//! authors of buddies have built on, and the `.proto` of today is held against it.
//!
//! Additions pass. After one was reviewed, `make proto-release` writes the descriptor anew, and
//! from then on the addition stands too.

#![allow(clippy::unwrap_used)] // tests alone

mod breaks;
mod compare;

use std::{env, fs, path::PathBuf};

use heapster_proto::v1;
use prost::Message;
use prost_types::FileDescriptorSet;

fn released_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("released/heapster-v1.binpb")
}

/// The `.proto` of today, without its comments and places, which may change.
fn today() -> FileDescriptorSet {
    let mut set = FileDescriptorSet::decode(v1::DESCRIPTOR_SET).unwrap();
    set.file.iter_mut().for_each(|file| file.source_code_info = None);
    set
}

#[test]
fn what_was_released_stands() {
    let path = released_file();
    let Ok(released) = fs::read(&path) else {
        panic!("{} is missing: it is what buddies were built on, restore it", path.display());
    };
    let released = FileDescriptorSet::decode(released.as_slice()).unwrap();
    let count =
        |set: &FileDescriptorSet| set.file.iter().flat_map(|file| &file.message_type).count();
    assert!(count(&released) > 20, "{} is not the descriptor of the protocol", path.display());
    let broken = compare::broken(&released, &today());
    assert!(
        broken.is_empty(),
        "buddies that were built on version 1 would break:\n  {}\n\
         take it back, or make the change an addition; see proto/README.md",
        broken.join("\n  ")
    );
    if env::var_os("HEAPSTER_PROTO_RELEASE").is_some() {
        fs::write(&path, today().encode_to_vec()).unwrap();
    }
}

/// No message of the real protocol is out of the comparison's sight: without any of its fields,
/// each break is told.
#[test]
fn every_field_of_the_protocol_is_held() {
    let whole = today();
    let mut fields = 0;
    for (index, message) in whole.file[0].message_type.iter().enumerate() {
        for (number, field) in message.field.iter().enumerate() {
            let mut less = whole.clone();
            less.file[0].message_type[index].field.remove(number);
            let (message, field) = (message.name(), field.name());
            let broken = compare::broken(&whole, &less);
            let told = format!("heapster.v1.{message}.{field}: the field ");
            assert!(broken.len() == 1 && broken[0].starts_with(&told), "{told}: {broken:?}");
            fields += 1;
        }
    }
    assert!(fields > 100, "{fields}");
}
