//! A reader of line protocol, written from its description and sharing nothing with the writer.

/// A line.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    pub(super) measurement: String,
    pub(super) tags: Vec<(String, String)>,
    /// Keys, and values as they are written.
    pub(super) fields: Vec<(String, String)>,
    pub(super) time: i64,
}

/// The lines of a body; a sentence where it is none.
pub(super) fn lines(body: &str) -> Result<Vec<Line>, String> {
    let body = body.strip_suffix('\n').ok_or("the last line has no end")?;
    body.split('\n').map(|text| line(text).map_err(|error| format!("{error}: {text:?}"))).collect()
}

fn line(text: &str) -> Result<Line, String> {
    let mut rest = text;
    let measurement = until(&mut rest, &[',', ' ']);
    let mut tags = Vec::new();
    while let Some(behind) = rest.strip_prefix(',') {
        rest = behind;
        tags.push(pair(&mut rest, &[',', ' '])?);
    }
    rest = rest.strip_prefix(' ').ok_or("no space in front of the fields")?;
    let mut fields = vec![pair(&mut rest, &[',', ' '])?];
    while let Some(behind) = rest.strip_prefix(',') {
        rest = behind;
        fields.push(pair(&mut rest, &[',', ' '])?);
    }
    rest = rest.strip_prefix(' ').ok_or("no space in front of the time")?;
    let time = rest.parse().map_err(|_| format!("`{rest}` is no time"))?;
    if measurement.is_empty() {
        return Err("no measurement".to_owned());
    }
    Ok(Line { measurement, tags, fields, time })
}

fn pair(rest: &mut &str, ends: &[char]) -> Result<(String, String), String> {
    let key = until(rest, &['=', ',', ' ']);
    *rest = rest.strip_prefix('=').ok_or_else(|| format!("no equals sign after `{key}`"))?;
    let value = until(rest, ends);
    if key.is_empty() || value.is_empty() {
        return Err(format!("`{key}` or its value is empty"));
    }
    Ok((key, value))
}

/// The text up to one of these characters that has no backslash in front. A backslash stands for
/// itself unless a comma, an equals sign or a space follows.
fn until(rest: &mut &str, ends: &[char]) -> String {
    let mut text = String::new();
    let mut characters = rest.char_indices().peekable();
    let mut end = rest.len();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match (character, next) {
            ('\\', Some(special @ (',' | '=' | ' '))) => {
                text.push(special);
                characters.next();
            }
            (character, _) if ends.contains(&character) => {
                end = at;
                break;
            }
            (character, _) => text.push(character),
        }
    }
    *rest = &rest[end..];
    text
}
