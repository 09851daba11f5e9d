//! `mountinfo`, the kernel's table of mounts as a process sees it.
//!
//! ```text
//! 32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
//!       dev  root mount point     options     optional - type   source super options
//! ```

use std::borrow::Cow;

use super::files::{device_number, lines, words};

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mount<'a> {
    /// `major:minor` of the filesystem, the same for all mounts of it.
    pub(super) device: (u32, u32),
    /// The part of the filesystem that is mounted; `/` for all of it.
    pub(super) root: Cow<'a, str>,
    /// Where it is mounted.
    pub(super) point: Cow<'a, str>,
    /// `ext4`, `cgroup2`, ...
    pub(super) kind: &'a str,
    /// A device such as `/dev/sda1`, or any word for filesystems without one.
    pub(super) source: Cow<'a, str>,
    /// Options of the filesystem as a whole; for `cgroup` the names of its controllers.
    pub(super) super_options: &'a str,
}

/// The mounts in the table's order; lines that are no UTF-8 or no mounts are left out.
pub(super) fn mounts(table: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    lines(table).filter_map(parse)
}

fn parse(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = words(line);
    let device = device_number(fields.nth(2)?)?;
    let root = unescape(fields.next()?)?;
    let point = unescape(fields.next()?)?;
    fields.find(|field| *field == b"-")?;
    let kind = std::str::from_utf8(fields.next()?).ok()?;
    let source = unescape(fields.next()?)?;
    let super_options = std::str::from_utf8(fields.next().unwrap_or_default()).ok()?;
    Some(Mount { device, root, point, kind, source, super_options })
}

/// Undoes the escapes for white space and backslashes: `\040` is a space.
fn unescape(field: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(field).ok()?;
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, tail)) = rest.split_first() {
        let octal = (*byte == b'\\').then(|| octal(tail)).flatten();
        bytes.push(octal.unwrap_or(*byte));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..3)?).ok()?;
    u8::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_optional_fields() {
        let table = b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct\n\
            90 27 8:17 /a\\040b /mnt/my\\040disk\\134 rw - xfs /dev/sdb1 rw\n\
            not a mount\n";
        let found: Vec<Mount<'_>> = mounts(table).collect();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].device, &*found[0].point, found[0].kind), ((254, 0), "/", "ext4"));
        assert_eq!(found[0].source, "/dev/vda");
        assert_eq!((found[1].kind, found[1].super_options), ("cgroup", "rw,cpu,cpuacct"));
        assert_eq!((&*found[2].root, &*found[2].point), ("/a b", "/mnt/my disk\\"));
    }
}
