//! Lists: in one answer that is written page by page, in pages of the client's size, or as a table.

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    Shared,
    object::Entry,
    request::Asked,
    respond::{self, Answer, Failure, Parts},
    store::{Expired, Page, Wanted},
    table::{self, TableRequest},
};

/// Objects that are written at once.
pub(super) const CHUNK: usize = 500;

/// Where a list begins and how long it may be.
struct Range {
    version: u64,
    after: Option<String>,
    limit: usize,
}

/// Answers a list.
pub(super) fn list(
    shared: &Arc<Shared>,
    wanted: Wanted,
    asked: &Asked,
    table: Option<TableRequest>,
) -> Result<Answer, Failure> {
    let range = range(shared, asked)?;
    if let Some(table) = table {
        return whole_table(shared, &wanted, &range, table);
    }
    if range.limit == usize::MAX {
        let (parts, answer) = respond::stream();
        tokio::spawn(write_all(Arc::clone(shared), wanted, range, parts));
        return Ok(answer);
    }
    let (page, remaining) = page(shared, &wanted, &range)?;
    let mut body = head(&wanted, range.version, page.last.as_deref(), remaining);
    write_entries(shared, &wanted, &page.entries, &mut body, true);
    body.extend_from_slice(b"]}\n");
    Ok(respond::json_bytes(StatusCode::OK, body))
}

fn range(shared: &Shared, asked: &Asked) -> Result<Range, Failure> {
    let current = shared.store().version();
    let limit = asked.parameter("limit").parse().ok().filter(|limit| *limit > 0);
    let token = asked.parameter("continue");
    if !token.is_empty() {
        let (version, after) = read_token(token)
            .ok_or_else(|| Failure::bad_request("continue key is not valid".into()))?;
        return Ok(Range { version, after: Some(after), limit: limit.unwrap_or(usize::MAX) });
    }
    let exact = asked.parameter("resourceVersionMatch") == "Exact";
    let (version, limit) = match asked.parameter("resourceVersion").parse::<u64>() {
        // From its cache a real server gives everything, whatever the limit.
        Ok(0) => (current, None),
        Ok(version) if version > current => {
            return Err(Failure::from_the_future(version, current));
        }
        Ok(version) if exact => (version, limit),
        _ => (current, limit),
    };
    Ok(Range { version, after: None, limit: limit.unwrap_or(usize::MAX) })
}

/// A page, and how many objects come behind it where that is easily said.
fn page(shared: &Shared, wanted: &Wanted, range: &Range) -> Result<(Page, Option<usize>), Failure> {
    let store = shared.store();
    let expired = |expired: Expired| match range.after {
        Some(_) => Failure::expired_page(),
        None => Failure::expired(&expired),
    };
    let page =
        store.page(wanted, range.version, range.after.as_deref(), range.limit).map_err(expired)?;
    let plain = wanted.namespace.is_empty() && wanted.selector.is_empty();
    let remaining = page.last.as_deref().filter(|_| plain);
    let remaining = remaining.map(|last| store.count_behind(wanted.resource, last));
    Ok((page, remaining))
}

fn head(wanted: &Wanted, version: u64, last: Option<&str>, remaining: Option<usize>) -> Vec<u8> {
    let resource = wanted.resource;
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if let Some(last) = last {
        metadata["continue"] = token(version, last).into();
    }
    if let Some(remaining) = remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    format!(
        r#"{{"kind":"{}List","apiVersion":"{}","metadata":{metadata},"items":["#,
        resource.kind,
        resource.api_version()
    )
    .into_bytes()
}

fn write_entries(
    shared: &Shared,
    wanted: &Wanted,
    entries: &[Entry],
    body: &mut Vec<u8>,
    mut first: bool,
) {
    for entry in entries {
        if !first {
            body.push(b',');
        }
        first = false;
        body.extend_from_slice(&entry.json(wanted.resource, shared.world(), false));
    }
}

/// Writes a whole list while it is read; no more than a few chunks of it exist at a time.
async fn write_all(shared: Arc<Shared>, wanted: Wanted, mut range: Range, parts: Parts) {
    let mut body = head(&wanted, range.version, None, None);
    let mut first = true;
    range.limit = CHUNK;
    loop {
        let Ok((page, _)) = page(&shared, &wanted, &range) else {
            // Compacted meanwhile: the half that was written is worth nothing.
            let _ = parts.send(Err(std::io::ErrorKind::ConnectionAborted.into())).await;
            return;
        };
        write_entries(&shared, &wanted, &page.entries, &mut body, first);
        first = first && page.entries.is_empty();
        let at_end = page.last.is_none();
        if at_end {
            body.extend_from_slice(b"]}\n");
        }
        if parts.send(Ok(Bytes::from(std::mem::take(&mut body)))).await.is_err() || at_end {
            return;
        }
        range.after = page.last;
    }
}

fn whole_table(
    shared: &Shared,
    wanted: &Wanted,
    range: &Range,
    request: TableRequest,
) -> Result<Answer, Failure> {
    let (page, remaining) = page(shared, wanted, range)?;
    let value = |entry: &Entry| entry.value(wanted.resource, shared.world());
    let objects: Vec<Value> = page.entries.iter().map(value).collect();
    let mut table = table::table(wanted.resource, &objects, request);
    table["metadata"] = json!({ "resourceVersion": range.version.to_string() });
    if let Some(last) = &page.last {
        table["metadata"]["continue"] = token(range.version, last).into();
    }
    if let Some(remaining) = remaining {
        table["metadata"]["remainingItemCount"] = remaining.into();
    }
    Ok(respond::ok(&table))
}

/// Where the next page begins; no client looks into it.
fn token(version: u64, last: &str) -> String {
    let mut token = format!("{version:016x}");
    for byte in last.bytes() {
        // Writing to a string cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

fn read_token(token: &str) -> Option<(u64, String)> {
    let (version, key) = token.split_at_checked(16)?;
    let version = u64::from_str_radix(version, 16).ok()?;
    let byte = |at: usize| u8::from_str_radix(key.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..key.len()).step_by(2).map(byte).collect();
    Some((version, String::from_utf8(bytes?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_written() {
        assert_eq!(read_token(&token(372, "default/a")), Some((372, "default/a".into())));
        for wrong in ["", "x", "0000000000000001zz", "000000000000000161f"] {
            assert_eq!(read_token(wrong), None, "{wrong}");
        }
    }
}
