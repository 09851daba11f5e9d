//! A way in for benches: the lines of rows, without a file.

use std::sync::Arc;

use heapster_shared::row::RowBatch;

use crate::sinks::{json_rows::JsonRows, lines::Body};

/// An encoder as the sink keeps one: takes rows, gives the bytes of their lines.
pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
    let mut rows = JsonRows::new(Arc::default());
    let mut room = 0;
    move |batch| {
        let mut body = Body::with_room(room);
        rows.rows(batch, b"\n", &mut body);
        room = body.text.len();
        room
    }
}
