//! Fuzzing: one function a parser of bytes that come from outside, in one table.
//!
//! A target takes any bytes and panics where something is wrong: not only where the parser does,
//! but where what it gives cannot be (two readers of one form differ, what was read and written again
//! reads otherwise, a counter is negative). Bad input is not wrong: most inputs are refused.
//!
//! The driver here mutates recorded answers ([`mutate`]), knows nothing of what a program does inside,
//! and runs anywhere; the binary `heapster-libfuzzer` runs the same table where libFuzzer can be built.

pub mod corpus;
pub mod driver;
pub mod mutate;
mod random;
pub mod targets;

use cap::Cap;

/// Counts what a target allocates, and refuses what no parser may ask for at once.
#[global_allocator]
static MEMORY: Cap<std::alloc::System> = Cap::new(std::alloc::System, 4 << 30);

/// Bytes that were ever allocated, freed ones too.
fn allocated() -> usize {
    MEMORY.total_allocated()
}
