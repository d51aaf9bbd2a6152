//! What ties a log line to a request: a short id of our own, and the caller's trace context.

use std::cell::Cell;
use std::fmt;

/// Numbers the requests of one core: an id costs an increment and is unique within the process.
#[derive(Debug)]
pub struct RequestIds {
    core: usize,
    next: Cell<u64>,
}

impl RequestIds {
    /// Ids of the core with this index.
    pub fn new(core: usize) -> Self {
        Self { core, next: Cell::new(1) }
    }

    /// The next id.
    pub fn next_id(&self) -> RequestId {
        let sequence = self.next.get();
        self.next.set(sequence.wrapping_add(1));
        RequestId { core: self.core, sequence }
    }
}

/// A request's id: written as the core's index and a sequence number, both in hexadecimal, as `1-2a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    core: usize,
    sequence: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.core, self.sequence)
    }
}

/// A `traceparent` header that is valid after W3C Trace Context, level 1 (section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace that the request belongs to; not all zeros.
    pub trace_id: [u8; 16],
    /// The caller's span; not all zeros.
    pub parent_id: [u8; 8],
    /// Flags of the trace; bit 0 says that the caller records it.
    pub flags: u8,
}

/// Length of the fields that every version has: version, trace id, parent id and flags with dashes between.
const FIELDS_LEN: usize = 55;

impl TraceContext {
    /// Reads a header's value; `None` for anything that the specification says to ignore.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (fields, rest) = value.split_at_checked(FIELDS_LEN)?;
        let [version] = hex(&fields[0..2])?;
        // Version ff is forbidden, version 00 ends here, and later ones may go on behind a dash.
        let ends_well =
            if version == 0 { rest.is_empty() } else { rest.first().is_none_or(|byte| *byte == b'-') };
        if version == 0xff || !ends_well || [fields[2], fields[35], fields[52]] != [b'-'; 3] {
            return None;
        }
        let [flags] = hex(&fields[53..55])?;
        let context = Self { trace_id: hex(&fields[3..35])?, parent_id: hex(&fields[36..52])?, flags };
        (context.trace_id != [0; 16] && context.parent_id != [0; 8]).then_some(context)
    }

    /// Whether the caller records this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The header for a call made on behalf of this trace, from our span.
    pub fn child(&self, span_id: [u8; 8]) -> Self {
        Self { parent_id: span_id, ..*self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.parent_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

/// Lowercase hexadecimal only, as the specification has it.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_header_comes_back_as_it_was() {
        let context = TraceContext::parse(GOOD.as_bytes()).unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), GOOD);
        assert_eq!(context.child([1; 8]).to_string(), GOOD.replace("00f067aa0ba902b7", "0101010101010101"));
    }

    #[test]
    fn what_the_specification_forbids_is_ignored() {
        let bad = [
            "".to_owned(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            GOOD.replacen("00-", "ff-", 1),
            GOOD.replace("4b", "4B"),
            GOOD.replace("-01", "-0g"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replacen('-', "_", 1),
            format!("cc{}.more", &GOOD[2..]),
        ];
        for value in bad {
            assert_eq!(TraceContext::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_later_version_may_go_on_behind_a_dash() {
        for tail in ["", "-more"] {
            let value = format!("cc{}{tail}", &GOOD[2..]);
            assert_eq!(TraceContext::parse(value.as_bytes()).unwrap().to_string(), GOOD);
        }
    }

    #[test]
    fn ids_count_up_and_name_their_core() {
        let ids = RequestIds::new(10);
        assert_eq!([ids.next_id(), ids.next_id()].map(|id| id.to_string()), ["a-1", "a-2"]);
    }
}
