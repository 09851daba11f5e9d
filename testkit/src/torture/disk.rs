//! The disk under a buddy's spool: small, so that it can be filled, and with bytes that can be broken.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use rand::{RngExt, rngs::StdRng};

/// The size of the disk where it can be a small one.
const DISK_BYTES: u64 = 16 << 20;
/// The file that fills it.
const FILLER: &str = "filler";

/// A folder for a spool, on a small disk of its own where the machine allows it.
pub(super) struct Disk {
    mount: PathBuf,
    /// Why it cannot be filled.
    pub(super) no_own_disk: Option<String>,
}

impl Disk {
    /// Makes it within a folder.
    pub(super) fn new(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let mount = folder.join(format!("disk-{name}"));
        fs::create_dir_all(&mount)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "tmpfs"])
            .arg(&mount)
            .output();
        let no_own_disk = match mounted {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(format!("mount: {error}")),
        };
        Ok(Self { mount, no_own_disk })
    }

    /// Where the spool is.
    pub(super) fn spool(&self) -> PathBuf {
        self.mount.join("spool")
    }

    /// Leaves not one byte.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.no_own_disk.is_none(), "this disk is the machine's own");
        let mut filler = File::create(self.mount.join(FILLER))?;
        for size in [64 << 10, 4096, 1] {
            while filler.write(&vec![0; size]).is_ok_and(|written| written > 0) {}
        }
        Ok(())
    }

    /// Gives the space back.
    pub(super) fn empty(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.mount.join(FILLER)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Flips a bit, cuts the end off, or empties one of the spool's files; gives what was done, and
    /// nothing where there is no file.
    pub(super) fn corrupt(&self, random: &mut StdRng) -> anyhow::Result<Option<String>> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.spool())
            .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
            .unwrap_or_default();
        files.retain(|file| file.metadata().is_ok_and(|data| data.is_file() && data.len() > 0));
        files.sort();
        if files.is_empty() {
            return Ok(None);
        }
        let file = &files[random.random_range(0..files.len())];
        let mut bytes = fs::read(file)?;
        let at = random.random_range(0..bytes.len());
        let done = match random.random_range(0..4) {
            0 => {
                bytes.truncate(at);
                format!("cut at byte {at}")
            }
            1 => {
                let end = bytes.len().min(at + 512);
                bytes[at..end].fill(0);
                format!("zeros from byte {at}")
            }
            _ => {
                bytes[at] ^= 1 << random.random_range(0..8);
                format!("a bit of byte {at} turned over")
            }
        };
        fs::write(file, bytes)?;
        Ok(Some(done))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.no_own_disk.is_none() {
            // Nobody is left to be told; a lazy unmount ends with whoever still has a file open.
            let _ = Command::new("umount").arg("--lazy").arg(&self.mount).output();
        }
    }
}
