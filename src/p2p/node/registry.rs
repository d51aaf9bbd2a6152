//! The connections of one core: found by peer, counted, and the dialled ones bounded.

use std::collections::HashMap;
use std::hash::Hash;

/// What the registry asks of a connection.
pub(super) trait Entry: Clone {
    /// What tells peers apart.
    type Peer: Copy + Eq + Hash;
    fn peer(&self) -> Self::Peer;
    fn is_dialled(&self) -> bool;
    /// Whether a stream can be opened on it.
    fn is_usable(&self) -> bool;
    /// Whether it has ended or is about to.
    fn is_ending(&self) -> bool;
    /// Whether nothing goes on on it.
    fn is_idle(&self) -> bool;
}

struct Slot<C> {
    connection: C,
    /// Larger than that of all used before it.
    used: u64,
}

/// The connections, by a key that is never used again.
pub(super) struct Registry<C: Entry> {
    slots: HashMap<u64, Slot<C>>,
    by_peer: HashMap<C::Peer, Vec<u64>>,
    dialled: Vec<u64>,
    next_key: u64,
    uses: u64,
}

impl<C: Entry> Default for Registry<C> {
    fn default() -> Self {
        Self { slots: HashMap::new(), by_peer: HashMap::new(), dialled: Vec::new(), next_key: 0, uses: 0 }
    }
}

impl<C: Entry> Registry<C> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many of them were dialled.
    pub(super) fn dialled(&self) -> usize {
        self.dialled.len()
    }

    /// How many of those will stay.
    pub(super) fn kept(&self) -> usize {
        let dialled = self.dialled.iter().filter_map(|key| self.slots.get(key));
        dialled.filter(|slot| !slot.connection.is_ending()).count()
    }

    pub(super) fn all(&self) -> Vec<C> {
        self.slots.values().map(|slot| slot.connection.clone()).collect()
    }

    pub(super) fn insert(&mut self, connection: C) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.by_peer.entry(connection.peer()).or_default().push(key);
        if connection.is_dialled() {
            self.dialled.push(key);
        }
        let used = self.tick();
        self.slots.insert(key, Slot { connection, used });
        key
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<C> {
        let slot = self.slots.remove(&key)?;
        let peer = slot.connection.peer();
        if let Some(keys) = self.by_peer.get_mut(&peer) {
            keys.retain(|known| *known != key);
            if keys.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        self.dialled.retain(|known| *known != key);
        Some(slot.connection)
    }

    /// The usable connection to the peer that was used last, and from now on is the one used last of all.
    pub(super) fn find(&mut self, peer: C::Peer) -> Option<C> {
        let keys = self.by_peer.get(&peer)?;
        let usable = keys.iter().filter(|key| self.slots[key].connection.is_usable());
        let key = *usable.max_by_key(|key| self.slots[key].used)?;
        let used = self.tick();
        let slot = self.slots.get_mut(&key)?;
        slot.used = used;
        Some(slot.connection.clone())
    }

    /// The dialled connection that is idle and was used before all other idle ones.
    pub(super) fn unused_for_longest(&self) -> Option<C> {
        let slots = self.dialled.iter().filter_map(|key| self.slots.get(key));
        let idle = slots.filter(|slot| slot.connection.is_idle() && !slot.connection.is_ending());
        idle.min_by_key(|slot| slot.used).map(|slot| slot.connection.clone())
    }

    fn tick(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    struct Fake {
        name: u32,
        peer: u32,
        dialled: bool,
        usable: Cell<bool>,
        idle: Cell<bool>,
    }

    impl Entry for Rc<Fake> {
        type Peer = u32;
        fn peer(&self) -> u32 {
            self.peer
        }
        fn is_dialled(&self) -> bool {
            self.dialled
        }
        fn is_usable(&self) -> bool {
            self.usable.get()
        }
        fn is_ending(&self) -> bool {
            !self.usable.get()
        }
        fn is_idle(&self) -> bool {
            self.idle.get()
        }
    }

    fn fake(name: u32, peer: u32, dialled: bool) -> Rc<Fake> {
        Rc::new(Fake { name, peer, dialled, usable: Cell::new(true), idle: Cell::new(true) })
    }

    fn name(found: Option<Rc<Fake>>) -> Option<u32> {
        found.map(|fake| fake.name)
    }

    #[test]
    fn the_connection_used_last_is_found_whoever_dialled() {
        let mut registry = Registry::default();
        let (first, second) = (fake(1, 7, false), fake(2, 7, true));
        let key = registry.insert(first.clone());
        registry.insert(second.clone());
        assert_eq!((registry.len(), registry.dialled()), (2, 1));
        assert_eq!(name(registry.find(7)), Some(2));
        second.usable.set(false);
        assert_eq!(name(registry.find(7)), Some(1));
        second.usable.set(true);
        assert_eq!(name(registry.find(7)), Some(1), "it was used last");
        assert_eq!(name(registry.remove(key)), Some(1));
        assert!(registry.remove(key).is_none());
        assert_eq!((name(registry.find(7)), name(registry.find(8))), (Some(2), None));
    }

    #[test]
    fn the_idle_dialled_one_unused_for_longest_makes_room() {
        let mut registry = Registry::default();
        let fakes = [fake(0, 0, false), fake(1, 1, true), fake(2, 2, true), fake(3, 3, true)];
        let keys = fakes.clone().map(|fake| registry.insert(fake));
        assert_eq!(name(registry.unused_for_longest()), Some(1), "an accepted one is not ours to close");
        registry.find(1);
        assert_eq!(name(registry.unused_for_longest()), Some(2));
        fakes[2].idle.set(false);
        assert_eq!(name(registry.unused_for_longest()), Some(3));
        registry.remove(keys[3]);
        assert_eq!(registry.kept(), 2);
        fakes[1].usable.set(false);
        assert_eq!((name(registry.unused_for_longest()), registry.kept()), (None, 1));
        registry.remove(keys[1]);
        registry.remove(keys[2]);
        assert_eq!((registry.len(), registry.dialled(), registry.by_peer.len()), (1, 0, 1));
    }
}
