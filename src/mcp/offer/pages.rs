//! List results, cut into pages and kept as the bytes that go out.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The pages of one list.
#[derive(PartialEq)]
pub(crate) struct Pages {
    pages: Vec<Page>,
}

#[derive(PartialEq)]
struct Page {
    /// What leads to this page; the first has none.
    cursor: Option<String>,
    /// The result object.
    result: Box<[u8]>,
}

/// What stands around the entries of a page.
pub(crate) struct Frame<'a> {
    /// Follows the opening brace.
    pub(crate) start: &'a str,
    /// Follows the last member and closes the result.
    pub(crate) end: &'a str,
    pub(crate) page_entries: usize,
}

impl Pages {
    /// Cuts `entries` (JSON objects) into pages.
    pub(crate) fn build<T: AsRef<str> + Hash>(member: &str, entries: &[T], frame: &Frame<'_>) -> Pages {
        let mut chunks: Vec<&[T]> = entries.chunks(frame.page_entries.max(1)).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        let generation = fingerprint(entries);
        let pages = chunks.iter().enumerate().map(|(index, chunk)| {
            let next = match index + 1 {
                next if next < chunks.len() => format!(r#","nextCursor":"{}""#, cursor(generation, next)),
                _ => String::new(),
            };
            let entries = chunk.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",");
            let result = format!(r#"{{{}"{member}":[{entries}]{next}{}"#, frame.start, frame.end);
            Page {
                cursor: (index > 0).then(|| cursor(generation, index)),
                result: result.into_bytes().into(),
            }
        });
        Pages { pages: pages.collect() }
    }

    /// The result for a cursor, or for its absence; `None` for a cursor that was never given out.
    pub(crate) fn result(&self, cursor: Option<&str>) -> Option<&[u8]> {
        self.pages.iter().find(|page| page.cursor.as_deref() == cursor).map(|page| &*page.result)
    }
}

/// Differs between lists that differ, so that a cursor cannot lead into another list.
fn fingerprint<T: Hash>(entries: &[T]) -> u64 {
    let mut hasher = DefaultHasher::new();
    entries.hash(&mut hasher);
    hasher.finish()
}

fn cursor(generation: u64, page: usize) -> String {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&generation.to_le_bytes());
    bytes[8..].copy_from_slice(&(page as u32).to_le_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn build(entries: &[&str], page_entries: usize) -> Pages {
        Pages::build("tools", entries, &Frame { start: "\"a\":1,", end: ",\"z\":2}", page_entries })
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let pages = build(&["1", "2", "3", "4", "5"], 2);
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let page: Value = serde_json::from_slice(pages.result(cursor.as_deref()).unwrap()).unwrap();
            seen.extend(page["tools"].as_array().unwrap().iter().map(|entry| entry.as_i64().unwrap()));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_empty_list_is_one_page_and_foreign_cursors_lead_nowhere() {
        let pages = build(&[], 2);
        assert_eq!(pages.result(None).unwrap(), br#"{"a":1,"tools":[],"z":2}"#);
        assert!(pages.result(Some("")).is_none() && pages.result(Some("x")).is_none());
        let other = build(&["1", "2"], 1);
        let cursor = other.pages[1].cursor.clone().unwrap();
        assert!(build(&["1", "3"], 1).result(Some(&cursor)).is_none());
    }
}
