//! Pulls values out of a [`Scan`], for what reads answers in one go and leaves to the general
//! decoder what has another form.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Scan, Text};

/// Takes the value of a key, which must not come twice.
#[inline]
pub(in crate::source) fn once<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(value?);
    Some(())
}

/// The items of a list.
pub(in crate::source) fn list<'a, T>(
    scan: &mut Scan<'a>,
    mut item: impl FnMut(&mut Scan<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut items = Vec::new();
    scan.list(|scan| {
        items.push(item(scan)?);
        Some(())
    })?;
    Some(items)
}

/// Text without escapes.
#[inline]
pub(in crate::source) fn text<'a>(scan: &mut Scan<'a>) -> Option<Text<'a>> {
    scan.string().map(|text| Text(Cow::Borrowed(text)))
}

/// A value that few hosts have, read by the general decoder.
pub(in crate::source) fn general<'a, T: Deserialize<'a>>(scan: &mut Scan<'a>) -> Option<T> {
    let text = scan.value().filter(|text| *text != "null")?;
    serde_json::from_str(text).ok()
}
