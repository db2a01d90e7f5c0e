//! One stanza of a control file: fields in order, values as written.

use anyhow::{Result, bail};

/// An ordered set of fields. Names compare without case; values keep their continuation lines
/// (`\n` and the leading blank included), so that a stanza can be written back byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stanza {
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// Parses one stanza (Policy 5.1); empty lines around it are skipped, a second stanza is an error.
    pub fn parse(text: &str) -> Result<Self> {
        let mut all = Self::parse_all(text)?;
        match all.len() {
            1 => Ok(all.remove(0)),
            0 => bail!("there is no stanza in it"),
            _ => bail!("there is more than one stanza in it"),
        }
    }

    /// Parses every stanza of a text.
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        let mut current = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                if !current.fields.is_empty() {
                    all.push(std::mem::take(&mut current));
                }
            } else if line.starts_with([' ', '\t']) {
                let Some((_, value)) = current.fields.last_mut() else {
                    bail!("line {} continues a field that does not exist", number + 1);
                };
                value.push('\n');
                value.push_str(line);
            } else if line.starts_with('#') {
                // A comment (Policy 5.1).
            } else if let Some((name, value)) = line.split_once(':') {
                let blank = |c: char| c.is_ascii_whitespace() || c.is_ascii_control();
                if name.is_empty() || name.contains(blank) || name.starts_with('-') {
                    bail!("line {} has the field name `{name}`, which is not one", number + 1);
                }
                if current.get(name).is_some() {
                    bail!("line {} repeats the field `{name}`", number + 1);
                }
                current.fields.push((name.to_owned(), value.trim_start().to_owned()));
            } else {
                bail!("line {} is neither a field nor a continuation", number + 1);
            }
        }
        if !current.fields.is_empty() {
            all.push(current);
        }
        // As dpkg does it: blanks behind a value go, those within it stay, also where one of its lines ends.
        for (_, value) in all.iter_mut().flat_map(|stanza| &mut stanza.fields) {
            value.truncate(value.trim_end().len());
        }
        Ok(all)
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuation_lines_are_kept_as_written() {
        let stanza = Stanza::parse("\nPackage: a\nDescription: short\n long\n .\n  indented\n\n").unwrap();
        assert_eq!(stanza.get("description"), Some("short\n long\n .\n  indented"));
        let stanza = Stanza::parse("Description:  short \n long \n end \nA: 1 \n").unwrap();
        assert_eq!(stanza.get("Description"), Some("short \n long \n end"));
        assert_eq!(stanza.get("A"), Some("1"));
        assert!(Stanza::parse("A: 1\na: 2\n").is_err());
        assert!(Stanza::parse(" x\n").is_err());
        assert!(Stanza::parse("A: 1\n\nB: 2\n").is_err());
    }
}
