//! Licence expressions: names joined by `AND`, `OR` (also written `/`), `WITH` and parentheses.
//!
//! ```text
//! any  = all { ( "OR" | "/" ) all }
//! all  = one { "AND" one }
//! one  = "(" any ")" | name [ "WITH" exception ]
//! ```

/// Whether an expression can be met with licences of a list, where a licence with an exception is
/// `NAME WITH EXCEPTION`.
pub(crate) fn can_be_met(expression: &str, allowed: &[&str]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let met = reader.any()?;
    match reader.words.first() {
        None => Ok(met),
        Some(word) => Err(format!("`{word}` is not expected")),
    }
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn any(&mut self) -> Result<bool, String> {
        let mut met = self.all()?;
        while self.skip("OR") {
            met |= self.all()?;
        }
        Ok(met)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut met = self.one()?;
        while self.skip("AND") {
            met &= self.one()?;
        }
        Ok(met)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.skip("(") {
            let met = self.any()?;
            return if self.skip(")") { Ok(met) } else { Err("a `)` is missing".to_owned()) };
        }
        let name = self.name()?;
        if self.skip("WITH") {
            let exception = self.name()?;
            return Ok(self.allowed.contains(&format!("{name} WITH {exception}").as_str()));
        }
        Ok(self.allowed.contains(&name))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        match self.words.split_first() {
            Some((name, rest)) if !matches!(*name, "OR" | "AND" | "WITH" | "(" | ")") => {
                self.words = rest;
                Ok(name)
            }
            Some((word, _)) => Err(format!("`{word}` stands where a name should")),
            None => Err("a name is missing at the end".to_owned()),
        }
    }

    fn skip(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
    for (expression, wanted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 / ISC", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND ISC", true),
        // AND binds more tightly than OR.
        ("MIT OR ISC AND GPL-3.0", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("GPL-3.0 AND (MIT OR ISC)", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        // An exception adds to what is allowed, and is another licence here.
        ("Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH LLVM-exception", false),
    ] {
        assert_eq!(can_be_met(expression, &allowed), Ok(wanted), "{expression}");
    }
    for expression in ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT ISC", "MIT WITH", "()"] {
        assert!(can_be_met(expression, &allowed).is_err(), "{expression}");
    }
}
