//! Series put together into requests, by the rules of `timeSeries.create`: 200 at most, each once.

use heapster_shared::Set;

use super::Seen;

/// The most series of a request.
const MOST_SERIES: usize = 200;
const HEAD: &[u8] = b"{\"timeSeries\":[";
const TAIL: &[u8] = b"]}";

/// What one request carries.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Request {
    pub(in super::super) body: Vec<u8>,
    pub(in super::super) samples: u64,
    /// The rows of which it has series, and what to remember of them.
    pub(in super::super) rows: Vec<(u64, Seen)>,
    series: usize,
}

/// Requests in waves.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waves: Vec<Vec<Request>>,
    wave: Vec<Request>,
    request: Request,
    /// The entities of the wave.
    entities: Set<u64>,
    row: Option<(u64, Seen)>,
}

impl Requests {
    /// Begins a row that has at most this many series. An entity that the wave has already begins
    /// another wave; a row is not parted without need.
    pub(super) fn begin_row(&mut self, entity: u64, seen: &Seen, series: usize) {
        if !self.entities.insert(entity) {
            self.end_wave();
            self.entities.insert(entity);
        } else if self.request.series + series > MOST_SERIES {
            self.end_request();
        }
        self.row = Some((entity, seen.clone()));
        self.request.rows.extend(self.row.clone());
    }

    /// Where the next series of the row is to be appended.
    pub(super) fn begin_series(&mut self, samples: u64) -> &mut Vec<u8> {
        if self.request.series == MOST_SERIES {
            self.end_request();
            self.request.rows.extend(self.row.clone());
        }
        let request = &mut self.request;
        request.body.extend_from_slice(if request.series == 0 { HEAD } else { b"," });
        request.series += 1;
        request.samples += samples;
        &mut request.body
    }

    fn end_request(&mut self) {
        let mut request = std::mem::take(&mut self.request);
        if request.series > 0 {
            // The next one is likely to need as much.
            self.request.body.reserve(request.body.len() + TAIL.len());
            request.body.extend_from_slice(TAIL);
            self.wave.push(request);
        }
    }

    fn end_wave(&mut self) {
        self.end_request();
        self.entities.clear();
        if !self.wave.is_empty() {
            self.waves.push(std::mem::take(&mut self.wave));
        }
    }

    /// All of them.
    pub(super) fn finish(mut self) -> Vec<Vec<Request>> {
        self.end_wave();
        self.waves
    }
}
