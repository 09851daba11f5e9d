//! The spool on disk: written at an orderly shutdown, read at the next start.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use heapster_proto::v1::{self, Frame, frame::Kind, open::Purpose};
use heapster_shared::tick::unix_ms;
use prost::Message;

use super::open_frame;
use crate::spool::{LogFrame, Segment, Spool, disk};

/// Takes over what an earlier start left; returns how many frames wait there.
pub(super) fn restore(spool: &mut Spool, directory: &Path) -> io::Result<usize> {
    let mut frames = 0;
    for stored in disk::read_all(directory)? {
        match decode(&stored.records) {
            Ok((open, log)) => {
                let through = open.delivered_through;
                frames += log.iter().filter(|frame| frame.sequence > through).count();
                let instance = Arc::from(open.instance_id);
                spool.restore(instance, open.segment, through, log, stored.file);
            }
            Err(error) => disk::set_aside(&stored.file, &error),
        }
    }
    Ok(frames)
}

/// Writes what is not settled; returns how many frames that are.
pub(super) fn save(spool: &Spool, directory: &Path) -> io::Result<usize> {
    let mut frames = 0;
    for segment in spool.segments().filter(|segment| segment.unsettled() > 0) {
        frames += segment.unsettled();
        if segment.is_on_disk() {
            continue;
        }
        let name = format!("{:013}-{}-{:08}", unix_ms(), segment.instance(), segment.number());
        let records = records(segment)?;
        disk::write(directory, &name, records.iter().map(Bytes::as_ref))?;
    }
    Ok(frames)
}

/// A segment as a replay would send it. What was let go of is not numbered higher than what its
/// Open says was delivered, so it is settled when it is read again.
fn records(segment: &Segment) -> io::Result<Vec<Bytes>> {
    let mut records = vec![open_frame(segment, "", Purpose::Backfill)];
    let mut part = 0;
    while let Some(frames) = segment.prelude(part)? {
        records.extend(frames);
        part += 1;
    }
    let kept = (segment.let_go()..segment.end()).filter_map(|index| segment.frame(index));
    records.extend(kept.map(|frame| frame.bytes.clone()));
    Ok(records)
}

/// The Open and the frames of a segment that was read from disk.
fn decode(records: &[Bytes]) -> Result<(v1::Open, Vec<LogFrame>), String> {
    let frame = |bytes: &Bytes| Frame::decode(bytes.clone()).map_err(|error| error.to_string());
    let (first, rest) = records.split_first().ok_or("it is empty")?;
    let Some(Kind::Open(open)) = frame(first)?.kind else {
        return Err("it does not start with an Open".to_owned());
    };
    let mut log = Vec::with_capacity(rest.len());
    for bytes in rest {
        let decoded = frame(bytes)?;
        let tick = match &decoded.kind {
            Some(Kind::Batch(batch)) => batch.tick_unix_ms,
            Some(Kind::RoundEnd(end)) => end.tick_unix_ms,
            Some(Kind::Events(events)) => events.events.last().map_or(0, |last| last.last_unix_ms),
            _ => 0,
        };
        let tick_unix_ms = i64::try_from(tick).unwrap_or(0);
        let is_events = matches!(decoded.kind, Some(Kind::Events(_)));
        let (sequence, bytes) = (decoded.sequence, bytes.clone());
        log.push(LogFrame { sequence, tick_unix_ms, is_events, bytes });
    }
    Ok((open, log))
}
