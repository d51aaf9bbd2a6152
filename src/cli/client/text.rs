//! Text for a terminal: wrapped to its width, and without the power to command it.

use std::io::IsTerminal as _;

/// Narrower terminals are written to as if they were this wide.
const MIN_WIDTH: usize = 40;
/// A name longer than this has its description on the next line.
const MAX_NAME: usize = 24;

/// How text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Columns to wrap to; `None` where nothing is wrapped.
    pub(super) width: Option<usize>,
    /// Control characters of the server's are made visible.
    pub(super) escape: bool,
}

impl View {
    /// For standard output as it is.
    pub(super) fn of_stdout() -> View {
        let terminal = std::io::stdout().is_terminal();
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0).max(MIN_WIDTH));
        View { width: width.filter(|_| terminal), escape: terminal }
    }

    /// Text of the server's, as it may be shown whole: lines are kept.
    pub(super) fn plain(self, text: &str) -> String {
        if self.escape { visible(text) } else { text.to_owned() }
    }
}

/// The text with its control characters, which could command a terminal, made visible. Line feeds and tabs stay.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => out.push(letter),
            // The marks that turn the direction of writing are as able to deceive.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(letter.escape_unicode()),
            _ if letter.is_control() => out.extend(letter.escape_unicode()),
            _ => out.push(letter),
        }
    }
    out
}

/// One line of it, for what must stay on a line.
pub(super) fn line(text: &str) -> String {
    visible(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A two-column list: names, and what is said of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<(usize, String, String)>,
}

impl Table {
    /// Adds a row, indented by so many columns. White space in the text is the table's to choose.
    pub(super) fn row(&mut self, indent: usize, name: &str, text: &str) {
        self.rows.push((indent, line(name), line(text)));
    }

    pub(super) fn render(&self, view: View) -> String {
        let longest = self.rows.iter().map(|(indent, name, _)| indent + columns(name));
        let column = longest.filter(|length| *length <= MAX_NAME).max().unwrap_or(0) + 2;
        let mut out = String::new();
        for (indent, name, text) in &self.rows {
            out.extend(std::iter::repeat_n(' ', *indent));
            out.push_str(name);
            let mut at = indent + columns(name);
            if !text.is_empty() {
                if at + 2 > column {
                    out.push('\n');
                    at = 0;
                }
                out.extend(std::iter::repeat_n(' ', column - at));
                wrap(&mut out, text, column, view.width);
            }
            out.push('\n');
        }
        out
    }
}

/// Appends `text` at column `column`; lines after the first begin there as well.
fn wrap(out: &mut String, text: &str, column: usize, width: Option<usize>) {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(column).max(MIN_WIDTH / 2));
    let mut used = 0;
    for word in text.split(' ') {
        let length = columns(word);
        if used > 0 && used + 1 + length > room {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', column));
            used = 0;
        }
        if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
}

/// Columns of a text, each character counted as one.
fn columns(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_wrapped_to_the_width() {
        let mut table = Table::default();
        table.row(0, "a", "one two three four five six seven eight nine ten");
        table.row(2, "long", "x");
        table.row(0, "a_name_that_is_longer_than_the_column", "its text");
        table.row(0, "bare", "");
        let narrow = table.render(View { width: Some(40), escape: true });
        let expected = "a       one two three four five six\n        seven eight nine ten\n  long  x\n\
             a_name_that_is_longer_than_the_column\n        its text\nbare\n";
        assert_eq!(narrow, expected);
        let wide = table.render(View { width: None, escape: false });
        assert!(wide.starts_with("a       one two three four five six seven eight nine ten\n"), "{wide}");
    }

    #[test]
    fn a_servers_text_cannot_command_the_terminal() {
        let evil = "a\u{1b}[2J\u{7}b\r\u{9b}c\u{202e}d\te\nf";
        let shown = visible(evil);
        assert_eq!(shown, "a\\u{1b}[2J\\u{7}b\\u{d}\\u{9b}c\\u{202e}d\te\nf");
        assert_eq!(View { width: None, escape: true }.plain(evil), shown);
        assert_eq!(View { width: None, escape: false }.plain(evil), evil, "a pipe gets what was sent");
        assert_eq!(line("a\n  b\u{1b}"), "a b\\u{1b}");
    }
}
