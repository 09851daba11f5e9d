//! The files of a tree, read or made up.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

/// A tree of files.
pub(crate) struct Tree {
    /// The text files, by path.
    pub(crate) files: Vec<File>,
    /// Every path, folders and what is no text included.
    paths: BTreeSet<String>,
}

/// A text file.
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Tree {
    /// Reads all that is below a folder, build output and hidden folders left out.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self { files: Vec::new(), paths: BTreeSet::new() };
        tree.read_folder(root, "");
        tree
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) {
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let is_folder = entry.file_type().unwrap().is_dir();
            let hidden =
                name.starts_with('.') && !matches!(name.as_str(), ".ci" | ".cargo" | ".github");
            if is_folder && (hidden || name == "target" || name == "node_modules") {
                continue;
            }
            self.paths.insert(path.clone());
            if is_folder {
                self.read_folder(&entry.path(), &format!("{path}/"));
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                self.files.push(File { path, text });
            }
        }
    }

    /// A tree of these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        let paths = files.iter().map(|(path, _)| (*path).into()).collect();
        Self { files: files.iter().map(file).collect(), paths }
    }

    /// The files with this ending.
    pub(crate) fn ending(&self, ending: &'static str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }

    /// The file at a path.
    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether there is a file or folder there.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let below = format!("{path}/");
        path.is_empty()
            || self.paths.contains(path)
            || self.paths.iter().any(|p| p.starts_with(&below))
    }
}

impl File {
    /// The lines of code with their numbers: comments, benches and tests are left out, be they at
    /// the end or in files of their own.
    pub(crate) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let folders = ["/tests/", "/benches/"];
        let is_test = folders.iter().any(|folder| self.path.contains(folder))
            || self.path.ends_with("/tests.rs");
        self.code().take_while(move |(_, line)| !is_test && line.trim() != "#[cfg(test)]")
    }

    /// The lines of code with their numbers, without comments.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (number, line.split(" // ").next().unwrap_or(line)))
    }

    /// A violation in this file.
    pub(crate) fn violation(&self, line: usize, rule: &str, what_to_do: &str) -> String {
        format!("{}:{line}: {rule}: {what_to_do}", self.path)
    }

    /// Where a relative link of this file leads, from the root; `None` when out of the tree.
    pub(crate) fn resolve(&self, link: &str) -> Option<String> {
        let start = match link.strip_prefix('/') {
            Some(_) => PathBuf::new(),
            None => Path::new(&self.path).parent()?.to_path_buf(),
        };
        let mut parts: Vec<String> = Vec::new();
        for component in start.join(link.trim_start_matches('/')).components() {
            match component {
                Component::ParentDir => drop(parts.pop()?),
                Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
                _ => {}
            }
        }
        Some(parts.join("/"))
    }
}

/// Where a word stands in a line, not as a part of a longer word.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let goes_on_before = before.is_some_and(part_of_word) && word.starts_with(part_of_word);
        let goes_on_after = after.is_some_and(part_of_word) && word.ends_with(part_of_word);
        !goes_on_before && !goes_on_after
    })
}
