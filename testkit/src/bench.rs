//! The whole-program bench.
