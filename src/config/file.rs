//! The TOML file: its values with their lines, unknown keys, and every syntax error.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::kind::Raw;
use super::load::{Given, Origin};
use super::settings::{Reading, Setting};
use super::suggest::did_you_mean;

/// Reads a file's text; what is wrong with its form goes to `problems`.
///
/// Messages never quote the file's own lines, because a line may hold a secret.
pub(super) fn read<'a>(
    name: &str,
    text: &str,
    table: &'a [Setting],
    problems: &mut Vec<Problem>,
) -> Vec<Given<'a>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let reader = Reader { name, text, table };
    if !errors.is_empty() {
        problems.extend(errors.iter().map(|error| Problem {
            key: "config".to_owned(),
            value: None,
            origin: reader.origin(error.span().unwrap_or(0..0)),
            message: format!("this is not TOML: {}", error.message()),
        }));
        return Vec::new();
    }
    // The parser sorts by key; people read from the top.
    let mut unknown = Vec::new();
    let mut given = reader.section("", document.get_ref(), &mut unknown);
    unknown.sort_by(|left: &Problem, right| left.origin.cmp(&right.origin));
    given.sort_by(|left, right| left.origin.cmp(&right.origin));
    problems.extend(unknown);
    given
}

struct Reader<'t, 'a> {
    name: &'t str,
    text: &'t str,
    table: &'a [Setting],
}

impl<'a> Reader<'_, 'a> {
    fn origin(&self, span: Range<usize>) -> Origin {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Origin::File { name: self.name.to_owned(), line }
    }

    fn section(&self, section: &str, entries: &DeTable<'_>, problems: &mut Vec<Problem>) -> Vec<Given<'a>> {
        let mut given = Vec::new();
        for (key, value) in entries {
            let name = key.get_ref().as_ref();
            let is_section = section.is_empty() && self.table.iter().any(|setting| setting.section == name);
            if let (true, DeValue::Table(inner)) = (is_section, value.get_ref()) {
                given.extend(self.section(name, inner, problems));
                continue;
            }
            let origin = self.origin(key.span());
            match self.table.iter().find(|setting| setting.section == section && setting.key == name) {
                Some(setting) => {
                    let raw = raw(value.get_ref());
                    given.push(Given { setting, raw, reading: Reading::Same, origin });
                }
                None => problems.push(self.unknown(section, name, origin)),
            }
        }
        given
    }

    fn unknown(&self, section: &str, name: &str, origin: Origin) -> Problem {
        let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        // The right key in the wrong section is named with its section; a slip of the pen is looked up everywhere.
        let paths: Vec<String> = self.table.iter().map(Setting::path).collect();
        let elsewhere = self.table.iter().find(|setting| setting.key == name).map(Setting::path);
        let hint = match elsewhere {
            Some(path) => format!("; did you mean `{path}`?"),
            None => match did_you_mean(name, self.table.iter().map(|setting| setting.key)) {
                hint if hint.is_empty() => did_you_mean(&key, paths.iter().map(String::as_str)),
                hint => hint,
            },
        };
        Problem { key, value: None, origin, message: format!("there is no such setting{hint}") }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Integer(integer) => match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Raw::Integer(number),
            Err(_) => Raw::Other(integer.to_string()),
        },
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Float(float) => Raw::Other(float.to_string()),
        DeValue::Datetime(datetime) => Raw::Other(datetime.to_string()),
        DeValue::Table(_) => Raw::Other("a table".to_owned()),
    }
}
