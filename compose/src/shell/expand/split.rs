use super::Atom;

/// A field: its characters, each with whether it was quoted.
pub(super) type Field = Vec<(char, bool)>;

/// Splits what expansions made at the characters of `ifs` (XCU 2.6.5).
pub(super) fn split(atoms: &[Atom], ifs: &str) -> Vec<Field> {
    let mut splitter = Splitter::default();
    for atom in atoms {
        match atom {
            Atom::Quotes => splitter.begin(),
            Atom::Break(_) => splitter.end(),
            Atom::Text { text, quoted, splits } => {
                for c in text.chars() {
                    if *splits && ifs.contains(c) {
                        splitter.delimiter(matches!(c, ' ' | '\t' | '\n'));
                    } else {
                        splitter.begin();
                        splitter.field.push((c, *quoted));
                    }
                }
            }
        }
    }
    splitter.end();
    splitter.fields
}

#[derive(Default)]
struct Splitter {
    fields: Vec<Field>,
    field: Field,
    /// Something, be it empty quotes, belongs to the current field.
    begun: bool,
    /// Blanks have ended a field: one delimiter that is not blank still belongs to them.
    after_blank: bool,
}

impl Splitter {
    fn begin(&mut self) {
        self.begun = true;
        self.after_blank = false;
    }

    fn end(&mut self) {
        if self.begun {
            self.fields.push(std::mem::take(&mut self.field));
        }
        self.begun = false;
        self.after_blank = false;
    }

    fn delimiter(&mut self, blank: bool) {
        if blank {
            let ends = self.begun;
            let was_after = self.after_blank;
            self.end();
            self.after_blank = ends || was_after;
        } else if self.after_blank {
            self.after_blank = false;
        } else {
            self.begun = true;
            self.end();
        }
    }
}
