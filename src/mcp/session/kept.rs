//! The events of a stream that are kept, numbered from 1 on.

use std::collections::VecDeque;

/// What an event costs beside its bytes.
const OVERHEAD: usize = 64;

/// The events after those that were dropped.
#[derive(Default)]
pub(crate) struct Kept {
    events: VecDeque<Box<[u8]>>,
    dropped: u64,
    bytes: u64,
}

fn cost(event: &[u8]) -> u64 {
    (event.len() + OVERHEAD) as u64
}

impl Kept {
    /// The number of the last event, kept or not.
    pub(crate) fn last(&self) -> u64 {
        self.dropped + self.events.len() as u64
    }

    /// How many events were dropped: all up to this number.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What is kept, with its overhead.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends an event; what it costs.
    pub(crate) fn push(&mut self, event: Vec<u8>) -> u64 {
        let cost = cost(&event);
        self.events.push_back(event.into());
        self.bytes += cost;
        cost
    }

    /// The event with this number.
    pub(crate) fn get(&self, number: u64) -> Option<&[u8]> {
        let place = number.checked_sub(self.dropped + 1)?;
        self.events.get(usize::try_from(place).ok()?).map(|event| &**event)
    }

    /// Bytes of the events behind this number, which is not below those dropped.
    pub(crate) fn bytes_after(&self, number: u64) -> usize {
        let read = usize::try_from(number - self.dropped).unwrap_or(usize::MAX);
        self.events.iter().skip(read).map(|event| event.len()).sum()
    }

    /// Drops the oldest events up to the number `most`, until `wanted` bytes are free; how many bytes and events.
    pub(crate) fn cut(&mut self, wanted: u64, most: u64) -> (u64, u64) {
        let (mut freed, before) = (0, self.dropped);
        while freed < wanted && self.dropped < most {
            let Some(event) = self.events.pop_front() else { break };
            freed += cost(&event);
            self.dropped += 1;
        }
        self.bytes -= freed;
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        (freed, self.dropped - before)
    }

    /// Drops everything; how many bytes.
    pub(crate) fn clear(&mut self) -> u64 {
        self.cut(u64::MAX, u64::MAX).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_their_numbers_while_older_ones_go() {
        let mut kept = Kept::default();
        let cost: u64 = (0..5).map(|at| kept.push(vec![b'0' + at; 10])).sum();
        assert_eq!((kept.last(), kept.bytes(), cost), (5, cost, 5 * 74));
        assert_eq!((kept.get(0), kept.get(6)), (None, None));
        assert_eq!(kept.cut(75, 9), (148, 2));
        assert_eq!((kept.dropped(), kept.last(), kept.get(2)), (2, 5, None));
        assert_eq!(kept.get(3), Some(&b"2222222222"[..]));
        assert_eq!((kept.bytes_after(2), kept.bytes_after(4), kept.bytes_after(5)), (30, 10, 0));
        assert_eq!(kept.cut(u64::MAX, 3), (74, 1), "no further than it may");
        assert_eq!(kept.clear(), 148);
        assert_eq!((kept.last(), kept.bytes(), kept.get(5)), (5, 0, None));
        kept.push(Vec::new());
        assert_eq!((kept.last(), kept.get(6)), (6, Some(&b""[..])));
    }
}
