//! Files that others than their owner must not read, and that are there whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

/// For the owner alone.
pub(crate) const PRIVATE: u32 = 0o600;
/// For everybody to read.
pub(crate) const PUBLIC: u32 = 0o644;

/// What to do where there is a file already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Existing {
    Keep,
    Replace,
}

/// Writes a file by way of another one beside it, which then takes its place.
///
/// # Errors
/// With the path, also when there is a file already that is to be kept.
pub(crate) fn write(
    path: &Path,
    content: &[u8],
    mode: u32,
    existing: Existing,
) -> anyhow::Result<()> {
    let path = &resolved(path);
    let old = fs::metadata(path).ok();
    if old.is_some() && existing == Existing::Keep {
        bail!("{} exists already: give --force to replace it", path.display());
    }
    let mut name = path.file_name().context("a path that names a file")?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written =
        write_new(&new, content, mode, old.as_ref()).and_then(|()| put(&new, path, existing));
    if written.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&new);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// What a link leads to, so that the link stays.
fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn write_new(
    path: &Path,
    content: &[u8],
    mode: u32,
    old: Option<&fs::Metadata>,
) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if let Some(old) = old
        && (old.uid(), old.gid()) != (file.metadata()?.uid(), file.metadata()?.gid())
    {
        // Whoever reads it, such as a master that runs as another user, can go on to.
        fchown(&file, Some(old.uid()), Some(old.gid())).context("it belongs to another user")?;
    }
    file.write_all(content)?;
    file.sync_all()?;
    Ok(())
}

fn put(new: &Path, path: &Path, existing: Existing) -> anyhow::Result<()> {
    match existing {
        Existing::Replace => fs::rename(new, path)?,
        // Fails where somebody was faster.
        Existing::Keep => {
            fs::hard_link(new, path)?;
            fs::remove_file(new)?;
        }
    }
    File::open(parent(path))?.sync_all()?;
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Keeps others of this kind from changing files beside this one, until it is dropped.
///
/// # Errors
/// When there is no such directory.
pub(crate) fn lock_beside(path: &Path) -> anyhow::Result<File> {
    let path = resolved(path);
    let folder = parent(&path);
    let told = || format!("cannot use the directory {}", folder.display());
    let folder_file = File::open(folder).with_context(told)?;
    flock(&folder_file, FlockOperation::LockExclusive).with_context(told)?;
    Ok(folder_file)
}

/// Makes a directory for the owner alone, where there is none.
///
/// # Errors
/// With the path.
pub(crate) fn make_folder(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make the directory {}", path.display()))
}

/// A path as a shell reads it.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_written_for_its_owner_and_not_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        write(&path, b"one", PRIVATE, Existing::Keep).unwrap();
        let error = write(&path, b"two", PRIVATE, Existing::Keep).unwrap_err().to_string();
        assert!(error.contains("a.key exists already: give --force"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, b"three", PRIVATE, Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, PRIVATE);
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "what it was written by way of is gone");
        assert!(write(&folder.path().join("no/b"), b"", PRIVATE, Existing::Keep).is_err());
    }

    #[test]
    fn paths_are_quoted_where_a_shell_would_part_them() {
        assert_eq!(shell_word(Path::new("/a/b.crt")), "/a/b.crt");
        assert_eq!(shell_word(Path::new("a b'c")), "'a b'\\''c'");
    }
}
