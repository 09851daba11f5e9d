//! Writes the text format 0.0.4 of Prometheus.

use std::fmt::Write as _;

/// What kind of metric a family is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Only grows; its name ends with `_total`.
    Counter,
    /// Goes both ways.
    Gauge,
}

/// The text of an exposition, family after family.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
}

/// The samples of one family.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Exposition {
    /// Starts a family; its samples follow at once, as the format has it.
    pub(super) fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {}", escape(help, false));
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        Family { text: &mut self.text, name }
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.text.push_str(self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{name}=\"{}\"", escape(value, true));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
        self
    }
}

fn escape(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_help_are_escaped() {
        let mut exposition = Exposition::default();
        let mut family = exposition.family("a_total", Kind::Counter, "one\\two\nthree \"four\"");
        family.sample(&[("x", "a\"b\\c\nd"), ("y", "")], 1.5).sample(&[], 20_000_000_000.0);
        assert_eq!(
            exposition.finish(),
            "# HELP a_total one\\\\two\\nthree \"four\"\n# TYPE a_total counter\n\
             a_total{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 1.5\na_total 20000000000\n"
        );
    }
}
