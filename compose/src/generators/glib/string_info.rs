//! The words in which GSettings keeps the strings that a key may have (`gio/strinfo.c`): a number, then the string,
//! which begins with 0xff (0xfe: another name of the string whose word the number tells), is padded and ends with 0xff.

/// Longest string, in words with what is around it.
const MAX_WORDS: usize = 17;

/// Strings with their numbers, as 32-bit words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StringInfo(Vec<u32>);

/// The words of a string; none if it is too long.
fn words_of(text: &str, mark: u8) -> Option<Vec<u32>> {
    let count = ((text.len() + 6) / 4).max(2);
    let mut bytes = vec![0; count * 4];
    bytes[0] = mark;
    bytes[count * 4 - 1] = 0xff;
    bytes[1..=text.len()].copy_from_slice(text.as_bytes());
    let words = bytes
        .chunks_exact(4)
        .map(|word| word.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)));
    (count <= MAX_WORDS).then(|| words.collect())
}

impl StringInfo {
    /// Whether there is no string in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn words(&self) -> &[u32] {
        &self.0
    }

    /// Where the number of a string is.
    fn find(&self, text: &str, mark: u8) -> Option<usize> {
        let words = words_of(text, mark)?;
        let strings = self.0.get(1..)?;
        strings.windows(words.len()).position(|window| window == words)
    }

    /// Whether a key may have the string; another name does not count.
    pub(super) fn is_valid(&self, text: &str) -> bool {
        self.find(text, 0xff).is_some()
    }

    /// Whether the string is in it, or is another name.
    pub(super) fn contains(&self, text: &str) -> bool {
        self.is_valid(text) || self.find(text, 0xfe).is_some()
    }

    /// Whether a string has the number.
    pub(super) fn contains_number(&self, number: u32) -> bool {
        let is_number = |at: usize| {
            (at == 0 || self.0[at - 1] >> 24 == 0xff) && self.0.get(at + 1).is_some_and(|word| word & 0xff == 0xff)
        };
        (0..self.0.len()).any(|at| self.0[at] == number && is_number(at))
    }

    fn push(&mut self, number: u32, text: &str, mark: u8) -> Result<(), String> {
        let words = words_of(text, mark).ok_or_else(|| format!("`{text}` is too long"))?;
        self.0.push(number);
        self.0.extend(words);
        Ok(())
    }

    /// Adds a string.
    pub(super) fn add(&mut self, text: &str, number: u32) -> Result<(), String> {
        self.push(number, text, 0xff)
    }

    /// Adds another name of a string.
    pub(super) fn add_alias(&mut self, alias: &str, target: &str) -> Result<(), String> {
        let at = self
            .find(target, 0xff)
            .ok_or_else(|| format!("`{target}` is none of the values"))?;
        self.push(u32::try_from(at).unwrap_or(u32::MAX), alias, 0xfe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of `gio/strinfo.c`.
    #[test]
    fn words_are_those_of_gio() {
        let mut info = StringInfo::default();
        info.add("foo", 1).unwrap();
        info.add("bar", 2).unwrap();
        info.add_alias("baz", "bar").unwrap();
        let bytes: Vec<u8> = info.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(
            bytes,
            b"\x01\0\0\0\xfffoo\0\0\0\xff\x02\0\0\0\xffbar\0\0\0\xff\x03\0\0\0\xfebaz\0\0\0\xff"
        );
        assert!(info.is_valid("foo") && !info.is_valid("baz") && info.contains("baz"));
        assert!(info.contains_number(2) && !info.contains_number(4));
        assert!(info.add_alias("x", "y").is_err());
        assert!(info.add(&"x".repeat(66), 0).is_err());
        assert!(info.add(&"x".repeat(65), 0).is_ok());
    }
}
