//! The table of the encoders, for a document: times of its own, since criterion keeps its estimates
//! in files of its own form.

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use heapster_shared::row::{Block, RowBatch};

use super::{ENCODERS, Encoder};

/// Windows of which the median counts, each about this long, after one that does not count.
const WINDOWS: usize = 7;
const WINDOW: Duration = Duration::from_millis(700);

/// A table in Markdown of what each encoder does in a second on one core.
pub(crate) fn table(batches: &[RowBatch], machine: &str) -> String {
    let samples: usize = batches.iter().map(RowBatch::sample_count).sum();
    let rows: usize = batches.iter().flat_map(|batch| &batch.blocks).map(Block::len).sum();
    let mut text = format!(
        "Made by `make bench-sinks` on {machine}: {rows} rows of {samples} samples over and over, one thread, the median of {WINDOWS} times.\n\n\
         | encoder | rows a second | samples a second | bytes a sample |\n|---|--:|--:|--:|\n"
    );
    for (name, make) in ENCODERS {
        let (bytes, pass) = measure(make(), batches);
        let a_second = |count: usize| millions(count as f64 / pass.as_secs_f64());
        let bytes = bytes as f64 / samples as f64;
        let (rows, samples) = (a_second(rows), a_second(samples));
        // Writing into a String never fails.
        let _ = writeln!(text, "| `{name}` | {rows} | {samples} | {bytes:.0} |");
    }
    text
}

/// What all batches become, in bytes, and how long that takes.
fn measure(mut encoder: Encoder, batches: &[RowBatch]) -> (usize, Duration) {
    let mut all = || -> usize { batches.iter().map(|batch| encoder(black_box(batch))).sum() };
    let bytes = all();
    let mut window = || {
        let (begin, mut passes) = (Instant::now(), 0);
        while begin.elapsed() < WINDOW {
            black_box(all());
            passes += 1;
        }
        begin.elapsed() / passes
    };
    window();
    let mut times: Vec<Duration> = (0..WINDOWS).map(|_| window()).collect();
    times.sort();
    (bytes, times[WINDOWS / 2])
}

fn millions(count: f64) -> String {
    format!("{:.2} million", count / 1e6)
}
