//! A timing wheel: many deadlines, each within one tick of its time, at no cost for those that move.
//!
//! Pure: time comes in as an argument. A deadline that is moved later keeps its place and is filed anew when its old
//! turn comes, so a connection that pushes its deadline out with every request touches the wheel every few seconds.

use std::task::Waker;
use std::time::{Duration, Instant};

/// The length of one turn of the wheel, and so how late a deadline may be noticed.
pub(super) const TICK: Duration = Duration::from_millis(25);

/// Slots of the wheel. What lies farther ahead (25 s) waits in the last one and is filed anew from there.
const SLOTS: u64 = 1_024;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A deadline's number in its wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u32);

#[derive(Debug)]
struct Node {
    /// The tick at which it expires, `None` while it is not set.
    due: Option<u64>,
    /// The tick in whose slot it is filed, `None` while it is in none.
    filed: Option<u64>,
    prev: u32,
    next: u32,
    waker: Option<Waker>,
}

/// The wheel of one core.
#[derive(Debug)]
pub(super) struct Wheel {
    start: Instant,
    /// The last tick that was dealt with.
    tick: u64,
    /// The first node of each slot's list.
    slots: Box<[u32]>,
    nodes: Vec<Node>,
    /// The first free node; the free ones are linked by `next`.
    free: u32,
}

impl Wheel {
    pub(super) fn new(now: Instant) -> Self {
        let slots = vec![NONE; SLOTS as usize].into_boxed_slice();
        Self { start: now, tick: 0, slots, nodes: Vec::new(), free: NONE }
    }

    /// Adds a deadline that is not set.
    pub(super) fn insert(&mut self) -> Entry {
        let node = Node { due: None, filed: None, prev: NONE, next: NONE, waker: None };
        if self.free == NONE {
            self.nodes.push(node);
            return Entry((self.nodes.len() - 1) as u32);
        }
        let index = self.free;
        self.free = self.nodes[index as usize].next;
        self.nodes[index as usize] = node;
        Entry(index)
    }

    /// Takes a deadline out, and hands back its waker so that it is dropped where nothing is borrowed.
    pub(super) fn remove(&mut self, entry: Entry) -> Option<Waker> {
        self.unlink(entry.0);
        let node = &mut self.nodes[entry.0 as usize];
        node.next = self.free;
        self.free = entry.0;
        node.waker.take()
    }

    /// Whether nothing is filed under the next `ticks` ticks.
    pub(super) fn is_calm(&self, ticks: u32) -> bool {
        (1..=u64::from(ticks)).all(|ahead| self.slots[((self.tick + ahead) % SLOTS) as usize] == NONE)
    }

    /// Sets or moves a deadline; `None` clears it.
    pub(super) fn set(&mut self, entry: Entry, at: Option<Instant>) {
        let due = at.map(|at| ticks_up(at.saturating_duration_since(self.start)));
        let node = &mut self.nodes[entry.0 as usize];
        node.due = due;
        let Some(due) = due else { return };
        // Moved later: its present turn comes first, and files it anew.
        if node.filed.is_none_or(|filed| due < filed) {
            self.unlink(entry.0);
            self.file(entry.0, due);
        }
    }

    /// Remembers whom to wake, and hands back the waker it replaces.
    pub(super) fn register(&mut self, entry: Entry, waker: &Waker) -> Option<Waker> {
        let slot = &mut self.nodes[entry.0 as usize].waker;
        match slot {
            Some(known) if known.will_wake(waker) => None,
            _ => slot.replace(waker.clone()),
        }
    }

    /// Moves the time on and appends the wakers of the deadlines that have passed.
    pub(super) fn advance(&mut self, now: Instant, expired: &mut Vec<Waker>) {
        let reached = (now.saturating_duration_since(self.start).as_nanos() / TICK.as_nanos()) as u64;
        // After a long pause every slot is looked at once, and no slot twice.
        let first = (self.tick + 1).max(reached.saturating_sub(SLOTS - 1));
        self.tick = self.tick.max(reached);
        for tick in first..=reached {
            let slot = (tick % SLOTS) as usize;
            let mut next = std::mem::replace(&mut self.slots[slot], NONE);
            while next != NONE {
                let index = next;
                let node = &mut self.nodes[index as usize];
                next = node.next;
                (node.filed, node.prev, node.next) = (None, NONE, NONE);
                match node.due {
                    Some(due) if due > reached => self.file(index, due),
                    Some(_) => expired.extend(node.waker.take()),
                    None => {}
                }
            }
        }
    }

    /// Links a node into the slot of its tick, or into the last slot when that lies beyond the wheel.
    fn file(&mut self, index: u32, due: u64) {
        let tick = due.clamp(self.tick + 1, self.tick + SLOTS - 1);
        let slot = &mut self.slots[(tick % SLOTS) as usize];
        let next = std::mem::replace(slot, index);
        let node = &mut self.nodes[index as usize];
        (node.filed, node.prev, node.next) = (Some(tick), NONE, next);
        if next != NONE {
            self.nodes[next as usize].prev = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        let Some(tick) = node.filed.take() else { return };
        let (prev, next) = (node.prev, node.next);
        match prev {
            NONE => self.slots[(tick % SLOTS) as usize] = next,
            _ => self.nodes[prev as usize].next = next,
        }
        if next != NONE {
            self.nodes[next as usize].prev = prev;
        }
    }
}

/// Ticks that `time` takes, rounded up so that no deadline is early.
fn ticks_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Rig {
        wheel: Wheel,
        start: Instant,
    }

    impl Rig {
        fn new() -> Self {
            let start = Instant::now();
            Self { wheel: Wheel::new(start), start }
        }

        fn deadline(&mut self, after_ms: u64) -> (Entry, Arc<Count>) {
            let entry = self.wheel.insert();
            let count = Arc::new(Count::default());
            self.wheel.register(entry, &Arc::clone(&count).into());
            self.move_to(entry, after_ms);
            (entry, count)
        }

        fn move_to(&mut self, entry: Entry, after_ms: u64) {
            self.wheel.set(entry, Some(self.start + Duration::from_millis(after_ms)));
        }

        fn advance_to(&mut self, ms: u64) -> usize {
            let mut expired = Vec::new();
            self.wheel.advance(self.start + Duration::from_millis(ms), &mut expired);
            let count = expired.len();
            expired.into_iter().for_each(Waker::wake);
            count
        }
    }

    #[test]
    fn a_deadline_expires_within_one_tick_and_never_early() {
        for after in [1, 24, 25, 26, 1_000, 25_599, 25_600, 60_000, 200_000] {
            let mut rig = Rig::new();
            let (_, count) = rig.deadline(after);
            for now in (0..after + 25).step_by(25) {
                rig.advance_to(now);
                assert_eq!(count.0.load(Ordering::Relaxed), u32::from(now >= after), "{after} at {now}");
            }
            rig.advance_to(after + 25);
            assert_eq!(count.0.load(Ordering::Relaxed), 1, "{after}");
        }
    }

    #[test]
    fn a_moved_or_cleared_deadline_does_not_fire_at_its_old_time() {
        let mut rig = Rig::new();
        let (later, _) = rig.deadline(100);
        let (sooner, _) = rig.deadline(10_000);
        let (cleared, _) = rig.deadline(100);
        rig.move_to(later, 500);
        rig.move_to(sooner, 50);
        rig.wheel.set(cleared, None);
        assert_eq!(rig.advance_to(50), 1);
        assert_eq!(rig.advance_to(475), 0);
        assert_eq!(rig.advance_to(500), 1);
        assert_eq!(rig.advance_to(60_000), 0);
    }

    #[test]
    fn a_pause_longer_than_the_wheel_expires_all_that_is_due_and_nothing_else() {
        let mut rig = Rig::new();
        let counts: Vec<_> = (0..200).map(|index| rig.deadline(index * 1_000 + 1)).collect();
        rig.advance_to(100_000);
        for (index, (_, count)) in counts.iter().enumerate() {
            assert_eq!(count.0.load(Ordering::Relaxed), u32::from(index < 100), "{index}");
        }
        assert_eq!(rig.advance_to(200_025), 100);
    }

    #[test]
    fn a_deadline_in_the_past_expires_with_the_next_tick() {
        let mut rig = Rig::new();
        rig.advance_to(1_000);
        let (_, count) = rig.deadline(10);
        assert_eq!(rig.advance_to(1_025), 1);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_wheel_is_calm_up_to_its_next_deadline() {
        let mut rig = Rig::new();
        let (entry, _) = rig.deadline(10 * 25);
        assert!(rig.wheel.is_calm(9) && !rig.wheel.is_calm(10));
        rig.advance_to(5 * 25);
        assert!(rig.wheel.is_calm(4) && !rig.wheel.is_calm(5));
        rig.wheel.remove(entry);
        assert!(rig.wheel.is_calm(SLOTS as u32 - 1));
    }

    #[test]
    fn removed_deadlines_are_silent_and_their_places_are_used_again() {
        let mut rig = Rig::new();
        for round in 0..1_000 {
            let (first, _) = rig.deadline(round + 50);
            let (second, _) = rig.deadline(round + 50);
            rig.wheel.remove(first);
            rig.wheel.remove(second);
        }
        assert_eq!(rig.wheel.nodes.len(), 2);
        assert_eq!(rig.advance_to(30_000), 0);
    }

    #[test]
    fn a_random_history_agrees_with_a_sorted_list() {
        let mut seed = 7_u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut rig = Rig::new();
        let mut model: HashMap<u32, (Entry, u64)> = HashMap::new();
        let mut now = 0;
        for _ in 0..20_000 {
            match random(4) {
                0 => {
                    let due = now + 1 + random(90_000);
                    let (entry, _) = rig.deadline(due);
                    model.insert(entry.0, (entry, due));
                }
                1 => {
                    if let Some((entry, due)) = model.values_mut().next() {
                        *due = now + 1 + random(90_000);
                        rig.move_to(*entry, *due);
                    }
                }
                2 => {
                    if let Some(key) = model.keys().next().copied() {
                        rig.wheel.remove(model.remove(&key).unwrap().0);
                    }
                }
                _ => {
                    now += 25 * random(40);
                    let due: Vec<_> =
                        model.values().filter(|(_, due)| *due <= now).map(|(entry, _)| *entry).collect();
                    assert_eq!(rig.advance_to(now), due.len());
                    for entry in due {
                        model.remove(&entry.0);
                        rig.wheel.remove(entry);
                    }
                }
            }
        }
    }
}
