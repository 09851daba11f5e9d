//! Commands in documents, and how they are made fit to be run by a test.

use std::fmt;

/// Where a command stands.
pub(crate) struct Place {
    pub(crate) document: String,
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.document, self.line)
    }
}

/// The blocks of a document that are marked with this language.
pub(crate) fn blocks_of(document: &str, text: &str, language: &str) -> Vec<(Place, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(Place, String)> = None;
    let fence = format!("```{language}");
    for (index, line) in text.lines().enumerate() {
        match &mut open {
            Some(_) if line.trim() == "```" => blocks.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
            None if line.trim() == fence => {
                let place = Place { document: document.to_owned(), line: index + 2 };
                open = Some((place, String::new()));
            }
            None => {}
        }
    }
    blocks
}

/// The commands in such blocks, those over several lines joined, without comments.
pub(crate) fn commands_of(document: &str, text: &str, language: &str) -> Vec<(Place, String)> {
    let mut commands = Vec::new();
    for (place, block) in blocks_of(document, text, language) {
        let joined = block.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                let place = Place { document: place.document.clone(), line: place.line };
                commands.push((place, line.to_owned()));
            }
        }
    }
    commands
}

/// The commands below `Examples:` in a help text.
pub(crate) fn help_examples(help: &str) -> Vec<String> {
    let (_, examples) = help.split_once("Examples:").expect("examples");
    let joined = examples.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    lines.filter(|line| line.starts_with("heapster ")).map(str::to_owned).collect()
}

/// A line as the shell splits it; single quotes are all that the guides use.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        for (number, word) in part.split(' ').enumerate() {
            if number > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(word);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What follows `heapster`, with ports that are free, and hosts and files that are here.
pub(crate) fn arguments(line: &str) -> Vec<String> {
    let line = line.replace("cargo run --release --", "heapster").replace("HOST", "127.0.0.1");
    let command = line.split(" > ").next().unwrap();
    let mut arguments: Vec<String> = words(command).into_iter().skip(1).collect();
    for at in 1..arguments.len() {
        if matches!(arguments[at - 1].as_str(), "--listen" | "--grpc-listen") {
            arguments[at] = "127.0.0.1:0".to_owned();
        }
    }
    if arguments.iter().any(|word| word == "--as") {
        arguments =
            arguments.iter().map(|word| word.replace("heapster.toml", "buddy.toml")).collect();
    }
    let mut needs = Vec::new();
    match arguments[0].as_str() {
        "standalone" => needs.push("--listen"),
        "master" => needs.extend(["--listen", "--grpc-listen"]),
        _ => {}
    }
    for flag in needs {
        if !arguments.iter().any(|word| word == flag) {
            arguments.extend([flag.to_owned(), "127.0.0.1:0".to_owned()]);
        }
    }
    arguments
}
