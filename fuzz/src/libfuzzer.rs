//! `heapster-libfuzzer`: one target, named by the environment's `HEAPSTER_FUZZ_TARGET`, driven by
//! libFuzzer, which sees what an input reaches and keeps those that reach more. `tools/libfuzzer`
//! builds and runs it.
#![no_main]

use std::sync::LazyLock;

use heapster_fuzz::targets::{self, Target};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("HEAPSTER_FUZZ_TARGET").unwrap_or_default();
    targets::named(&name).unwrap_or_else(|| panic!("HEAPSTER_FUZZ_TARGET: no target `{name}`"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));
