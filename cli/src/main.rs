//! Heapster: one place to watch every container in every cluster you own.

fn main() {}
