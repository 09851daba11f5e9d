//! The place of a report in a document: between two lines that name it.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::Context;

fn begin(section: &str) -> String {
    format!("<!-- {section}:begin -->")
}

fn end(section: &str) -> String {
    format!("<!-- {section}:end -->")
}

/// Puts a report into a section of a document, in the place of the one that is there; makes the
/// document where there is none.
///
/// # Errors
/// When the document cannot be read or written, or has no place for a report.
pub fn write_section(path: &Path, section: &str, report: &str) -> anyhow::Result<()> {
    let (begin, end) = (begin(section), end(section));
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("# Benchmarks\n\n{begin}\n{end}\n")
        }
        text => text.with_context(|| format!("{} cannot be read", path.display()))?,
    };
    let replaced = replace_section(&text, section, report).with_context(|| {
        format!(
            "{} has no lines `{begin}` and `{end}`: put them where the report goes",
            path.display()
        )
    })?;
    fs::write(path, replaced).with_context(|| format!("{} cannot be written", path.display()))
}

fn replace_section(text: &str, section: &str, report: &str) -> Option<String> {
    let (begin, end) = (begin(section), end(section));
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n{end}{after}", report.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_made_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchmarks.md");
        write_section(&path, "bench", "first").unwrap();
        write_section(&path, "bench", "second").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let expected = "# Benchmarks\n\n<!-- bench:begin -->\nsecond\n<!-- bench:end -->\n";
        assert_eq!(text, expected);
        fs::write(&path, "prose").unwrap();
        let error = write_section(&path, "bench", "third").unwrap_err().to_string();
        assert!(error.contains("bench:begin"), "{error}");
    }

    /// Written twice, a document has one report in each section, and all else stays.
    #[test]
    fn a_report_takes_the_place_of_the_last_one() {
        let section = |name: &str, text: &str| {
            format!("<!-- {name}:begin -->\n{text}\n<!-- {name}:end -->\n")
        };
        let document = |one: &str, other: &str| {
            format!("# B\n\n{}\nand\n\n{}", section("bench", one), section("bench-other", other))
        };
        let text = document("old", "stays");
        let once = replace_section(&text, "bench", "new\n").unwrap();
        assert_eq!(once, document("new", "stays"));
        assert_eq!(replace_section(&once, "bench", "new\n").unwrap(), once);
        assert_eq!(replace_section(&once, "bench-other", "2").unwrap(), document("new", "2"));
        assert_eq!(replace_section("no markers", "bench", "new"), None);
    }
}
