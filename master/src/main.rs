//! The slim master: `heapster master` without the rest.

fn main() {}
