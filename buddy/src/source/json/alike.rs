//! Reads objects that are written alike, as those of one list are: what stands between their values
//! is the same bytes again and again, and what it says needs no second look.

use super::Scan;

/// What stood between the values of the objects so far, member by member.
#[derive(Clone, Debug, Default)]
pub(in crate::source) struct Alike<'a> {
    members: Vec<Member<'a>>,
    /// What stood behind the last value, up to the brace.
    end: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Member<'a> {
    /// From the brace or the value before it to its own value: white space, a comma, its key.
    before: &'a [u8],
    key: &'a str,
}

impl<'a> Scan<'a> {
    /// An object; `member` is given each key and reads its value. The same as
    /// [`object`](Scan::object), and quicker where the objects read with this memory are alike.
    #[inline]
    pub(in crate::source) fn object_alike(
        &mut self,
        alike: &mut Alike<'a>,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.literal(b"{")?;
        let mut place = 0;
        loop {
            let key = match alike.members.get(place) {
                Some(known) if self.literal(known.before).is_some() => known.key,
                _ if !alike.end.is_empty() && self.literal(alike.end).is_some() => return Some(()),
                _ => match self.learn(alike, place)? {
                    Some(key) => key,
                    None => return Some(()),
                },
            };
            member(self, key)?;
            place += 1;
        }
    }

    /// Any value, which is most often an object like those before.
    pub(in crate::source) fn skip_alike(&mut self, alike: &mut Alike<'a>) -> Option<()> {
        match self.peek()? {
            b'{' => self.object_alike(alike, |scan, _| scan.skip()),
            _ => self.skip(),
        }
    }

    /// Reads to the value of the next member, and remembers how; no key at the end of the object.
    fn learn(&mut self, alike: &mut Alike<'a>, place: usize) -> Option<Option<&'a str>> {
        let start = self.rest();
        self.white();
        if self.peek()? == b'}' {
            self.advance(1)?;
            alike.end = self.since(start);
            return Some(None);
        }
        if place > 0 {
            self.literal(b",")?;
            self.white();
        }
        let key = self.key()?;
        let member = Member { before: self.since(start), key };
        match alike.members.get_mut(place) {
            Some(known) => *known = member,
            None => alike.members.push(member),
        }
        Some(Some(key))
    }

    /// What was read of the text that was left.
    fn since(&self, start: &'a [u8]) -> &'a [u8] {
        &start[..start.len() - self.rest().len()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keys and values of one object.
    type Entries<'a> = Vec<(&'a str, &'a str)>;

    fn entries<'a>(scan: &mut Scan<'a>, alike: Option<&mut Alike<'a>>) -> Option<Entries<'a>> {
        let mut entries = Vec::new();
        let member = |scan: &mut Scan<'a>, key| {
            entries.push((key, scan.value()?));
            Some(())
        };
        match alike {
            Some(alike) => scan.object_alike(alike, member)?,
            None => scan.object(member)?,
        }
        Some(entries)
    }

    /// All objects of a list, read with one memory, and by themselves.
    fn both(text: &str) -> [Option<Vec<Entries<'_>>>; 2] {
        [true, false].map(|remembers| {
            let (mut scan, mut alike, mut all) = (Scan::new(text), Alike::default(), Vec::new());
            scan.list(|scan| {
                all.push(entries(scan, remembers.then_some(&mut alike))?);
                Some(())
            })?;
            scan.end()?;
            Some(all)
        })
    }

    fn object() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec!["a", "bb", "time"]);
        let value = prop::sample::select(vec!["1", "\"x\"", "{}", "[ 2 ]", "null"]);
        let space = || prop::sample::select(vec!["", " ", "\n  "]);
        let member = (space(), key, space(), value, space());
        let member = member.prop_map(|(before, key, between, value, after)| {
            format!("{before}\"{key}\":{between}{value}{after}")
        });
        prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    proptest! {
        /// Objects that are alike and others, by turns. Where only the space in front of a value
        /// differs it may be left to the general decoder, but is never read in another way.
        #[test]
        fn it_reads_what_is_written(
            objects in prop::collection::vec(object(), 1..4),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let objects: Vec<&str> = order.iter().map(|at| at.get(&objects).as_str()).collect();
            let text = format!("[{}]", objects.join(","));
            let [alike, each] = both(&text);
            prop_assert!(each.is_some());
            prop_assert!(alike.is_none() || alike == each, "{:?} {:?}", alike, each);
        }

        /// Nothing is accepted that is refused by itself.
        #[test]
        fn it_accepts_nothing_else(
            one in object(),
            at in any::<prop::sample::Index>(),
            with in prop::sample::select(vec!["", ",", "}", "\"", ":", "1", "{"]),
        ) {
            let mut other = one.clone();
            let at = at.index(other.len());
            other.replace_range(at..=at, with);
            let text = format!("[{one},{other},{one}]");
            let [alike, each] = both(&text);
            prop_assert!(alike.is_none() || alike == each, "{:?} {:?}", alike, each);
        }
    }

    #[test]
    fn what_is_alike_is_read_to_the_end() {
        let one = "{\n \"a\": 1,\n \"b\": \"x\"\n}";
        let short = "{\n \"a\": 1\n}";
        let text = format!("[{one}, {one},{short},{{}},{one},{{\"c\":{{}}}}]");
        let [alike, each] = both(&text);
        assert!(alike.is_some() && alike == each, "{alike:?}");
    }
}
