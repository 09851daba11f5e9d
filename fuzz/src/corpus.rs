//! What mutation begins with: recorded answers, and inputs that were found to be worth keeping.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{mutate, targets::Target};

/// Words of more bytes than this are no words.
const MOST_WORD_BYTES: usize = 48;
const MOST_WORDS: usize = 4000;

/// The folder of a target's kept inputs: each once broke it, or goes where mutation seldom does.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// The inputs that mutation of a target begins with.
///
/// # Errors
/// When a file that the target names cannot be read.
pub fn seeds(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let mut seeds = (target.made)();
    for path in target.recorded {
        let path = root().join(path);
        let named = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
        seeds.push(fs::read(&path).map_err(named)?);
    }
    seeds.extend(kept(target.name)?.into_iter().map(|(_, input)| input));
    // Long answers are mutated too seldom in each place: their beginnings are inputs as well.
    let short: Vec<Vec<u8>> =
        seeds.iter().filter(|seed| seed.len() > 8192).map(|seed| seed[..4096].to_vec()).collect();
    seeds.extend(short);
    Ok(seeds)
}

/// The kept inputs of a target, with their files.
///
/// # Errors
/// When one cannot be read.
pub fn kept(target: &str) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = folder(target);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.sort();
    files.into_iter().map(|file| fs::read(&file).map(|input| (file, input))).collect()
}

/// The distinct words of some inputs.
pub(crate) fn words(seeds: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    for seed in seeds {
        let tokens =
            mutate::tokens(seed).into_iter().filter(|token| token.len() <= MOST_WORD_BYTES);
        words.extend(tokens.map(|token| seed[token].to_vec()));
        words.sort();
        words.dedup();
    }
    words.truncate(MOST_WORDS);
    words
}
