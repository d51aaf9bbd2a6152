//! List results, cut into pages and kept as the bytes that go out.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A page is cut before it would have more bytes of entries: peers of 2024-11-05 read frames of at most 1 MiB. An entry
/// that is longer has a page of its own.
const PAGE_BYTES: usize = (1 << 20) - (64 << 10);

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
        let chunks = cut(entries, frame.page_entries);
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

/// Cuts a list at so many entries, or bytes of them; an empty one is one empty page.
fn cut<T: AsRef<str>>(entries: &[T], page_entries: usize) -> Vec<&[T]> {
    let (mut chunks, mut rest) = (Vec::new(), entries);
    while !rest.is_empty() || chunks.is_empty() {
        let mut bytes = 0;
        let fits = |entry: &&T| {
            bytes += entry.as_ref().len() + 1;
            bytes <= PAGE_BYTES
        };
        let count = rest.iter().take(page_entries.max(1)).take_while(fits).count();
        let (chunk, others) = rest.split_at(count.max(1).min(rest.len()));
        chunks.push(chunk);
        rest = others;
    }
    chunks
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
    fn pages_are_cut_by_their_bytes_too() {
        let half = "1".repeat(PAGE_BYTES / 2);
        let whole = "2".repeat(PAGE_BYTES + 1);
        let lengths = |entries: &[&str]| cut(entries, 100).iter().map(|page| page.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[&half, "1", &half, &whole, "1", "1"]), [2, 1, 1, 2]);
        assert_eq!(lengths(&[]), [0]);
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
