//! Pythons with packages of PyPI, which `tools/test-python` puts into folders of their own: one for
//! each list of packages in `testkit/python`.

use std::path::{Path, PathBuf};

use super::process::PeerError;

/// Where the lists of packages and the programs that need them are.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// The interpreter that has the packages of a list, `python/NAME.txt`.
///
/// # Errors
/// When they were not installed, or other versions of them were.
pub(super) fn interpreter(name: &str) -> Result<PathBuf, PeerError> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(home).unwrap_or_else(std::env::temp_dir);
    let installed = cache.join("heapster/test-python").join(name);
    let wanted = std::fs::read(folder().join(format!("{name}.txt")))?;
    // The list is copied there once everything on it is.
    if std::fs::read(installed.join("installed.txt")).is_ok_and(|list| list == wanted) {
        return Ok(installed.join("bin/python"));
    }
    Err(PeerError::Missing {
        program: "python3 with packages of testkit/python",
        package: "python3-venv, then run tools/test-python",
    })
}
