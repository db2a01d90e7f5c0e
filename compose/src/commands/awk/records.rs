//! Records and their fields.

use std::rc::Rc;

use super::expressions::index;
use super::machine::{Machine, Ran, Stop};
use super::syntax::{Rule, When};
use super::value::Value;

impl Machine {
    pub(super) fn read(&mut self, rules: &Rc<[Rule]>, name: &str, content: &[u8]) -> Ran {
        self.variables
            .insert("FILENAME".to_owned(), Value::Text(name.to_owned()));
        self.variables.insert("FNR".to_owned(), Value::Number(0.0));
        let content = String::from_utf8_lossy(content);
        let mut rest: &str = &content;
        while !rest.is_empty() {
            let separator = self.text_of("RS");
            let (record, after) = match separator.as_str() {
                "" => {
                    rest = rest.trim_start_matches('\n');
                    if rest.is_empty() {
                        break;
                    }
                    let (record, after) = rest.split_once("\n\n").unwrap_or((rest.trim_end_matches('\n'), ""));
                    (record, after.trim_start_matches('\n'))
                }
                one if one.chars().count() == 1 => rest.split_once(one).unwrap_or((rest, "")),
                other => return Err(Stop::Unsupported(format!("RS '{other}'"))),
            };
            rest = after;
            for counter in ["NR", "FNR"] {
                let next = self.variable(counter).number() + 1.0;
                self.variables.insert(counter.to_owned(), Value::Number(next));
            }
            self.set_record(record.to_owned())?;
            match self.record_rules(rules) {
                Err(Stop::Next) => {}
                other => other?,
            }
        }
        Ok(())
    }

    pub(super) fn record_rules(&mut self, rules: &Rc<[Rule]>) -> Ran {
        for rule in rules.iter() {
            let applies = match &rule.when {
                When::Begin | When::End => false,
                When::Always => true,
                When::If(condition) => self.value(condition)?.holds(),
                When::Range(number, from, to) => {
                    let open = self.open_ranges.get(number).copied().unwrap_or(false) || self.value(from)?.holds();
                    let closes = open && self.value(to)?.holds();
                    self.open_ranges.insert(*number, open && !closes);
                    open
                }
            };
            if applies {
                self.run(&rule.action)?;
            }
        }
        Ok(())
    }

    pub(super) fn set_record(&mut self, record: String) -> Ran {
        let separator = self.text_of("FS");
        let paragraph = self.text_of("RS").is_empty();
        self.fields = self.split(&record, &separator, paragraph)?;
        self.record = record;
        self.stale = false;
        self.count_fields();
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "records have few fields")]
    pub(super) fn count_fields(&mut self) {
        self.variables
            .insert("NF".to_owned(), Value::Number(self.fields.len() as f64));
    }

    pub(super) fn split(&mut self, text: &str, separator: &str, paragraph: bool) -> Result<Vec<String>, Stop> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if separator == " " {
            return Ok(text
                .split([' ', '\t', '\n'])
                .filter(|field| !field.is_empty())
                .map(str::to_owned)
                .collect());
        }
        if separator.chars().count() == 1 && separator != "\\" {
            let ends = |letter: char| separator.starts_with(letter) || paragraph && letter == '\n';
            return Ok(text.split(ends).map(str::to_owned).collect());
        }
        let pattern = self.pattern(separator)?;
        let mut fields = Vec::new();
        let (mut start, mut at) = (0, 0);
        while let Some((from, to)) = pattern.find(text.as_bytes(), at) {
            if from == to {
                at += 1;
                if at > text.len() {
                    break;
                }
                continue;
            }
            fields.push(text.get(start..from).unwrap_or_default().to_owned());
            (start, at) = (to, to);
        }
        fields.push(text.get(start..).unwrap_or_default().to_owned());
        Ok(fields)
    }

    pub(super) fn field(&mut self, number: f64) -> Result<Value, Stop> {
        let number = index(number)?;
        if number == 0 {
            self.refresh();
            return Ok(Value::Input(self.record.clone()));
        }
        Ok(self
            .fields
            .get(number - 1)
            .map_or(Value::Unset, |field| Value::Input(field.clone())))
    }

    pub(super) fn refresh(&mut self) {
        if self.stale {
            self.record = self.fields.join(&self.text_of("OFS"));
            self.stale = false;
        }
    }
}
