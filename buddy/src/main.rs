//! The slim buddy: `heapster buddy` without the rest.

fn main() {}
