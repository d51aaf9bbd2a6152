#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use super::*;

fn at(ms: i64) -> Now {
    Now { mono_ms: ms, wall_ms: 1_000_000 + ms as u64 }
}

fn set(cache: &mut Cache, now: Now, key: &str, value: &str, ttl_ms: u64) -> Change {
    let CacheStep::Change(change) = cache.set(now, key.into(), value.into(), ttl_ms).unwrap() else {
        panic!()
    };
    assert_eq!(cache.changing.len(), 1);
    assert!(cache.commit(change.sequence));
    change
}

#[test]
fn a_value_is_seen_after_its_commit_and_until_its_time() {
    let mut cache = Cache::new(CacheSettings::default(), Sequencer::default());
    let CacheStep::Change(change) = cache.set(at(0), "k".into(), "1".into(), 100).unwrap() else { panic!() };
    assert_eq!(cache.value(at(0), "k"), None);
    assert_eq!(cache.set(at(0), "k".into(), "2".into(), 0).unwrap(), CacheStep::Wait(change.sequence));
    cache.commit(change.sequence);
    assert_eq!(cache.value(at(99), "k").as_deref(), Some("1"));
    assert_eq!(cache.value(at(100), "k"), None);
    assert_eq!(cache.next_due(), Some(100));
    cache.tick(at(100), 10);
    assert_eq!(cache.usage().0, 0);
    assert_eq!(cache.delete(at(100), &"k".into()), CacheStep::Done);
}

#[test]
fn the_least_recently_used_goes_first() {
    let settings = CacheSettings { max_bytes: 2 * (OVERHEAD_BYTES + 2), ..CacheSettings::default() };
    let mut cache = Cache::new(settings, Sequencer::default());
    set(&mut cache, at(0), "a", "1", 0);
    set(&mut cache, at(0), "b", "2", 0);
    assert!(cache.value(at(0), "a").is_some());
    set(&mut cache, at(0), "c", "3", 0);
    assert_eq!((cache.value(at(0), "b"), cache.usage().1), (None, 1));
    assert!(cache.value(at(0), "a").is_some());
}

#[test]
fn what_is_replayed_is_what_was_committed_also_twice_and_over_a_snapshot() {
    let mut cache = Cache::new(CacheSettings::default(), Sequencer::default());
    let mut records = vec![set(&mut cache, at(0), "a", "1", 50), set(&mut cache, at(1), "b", "2", 0)];
    let keys = cache.keys();
    let chunk = cache.snapshot(&keys[..1], at(1));
    records.push(set(&mut cache, at(2), "a", "3", 1_000));
    let CacheStep::Change(deleted) = cache.delete(at(3), &"b".into()) else { panic!() };
    cache.commit(deleted.sequence);
    records.push(deleted);
    let rest = cache.snapshot(&keys[1..], at(3));
    assert_eq!((chunk.len(), rest.len()), (1, 0));
    assert_eq!(key_of(&chunk[0].1, at(3)).as_deref(), Ok("a"));
    let mut again = Cache::new(CacheSettings::default(), Sequencer::default());
    for (_, bytes) in chunk.iter().chain(&rest) {
        again.replay(KIND_CACHE, bytes, at(10)).unwrap();
    }
    for change in records.iter() {
        again.replay(change.kind, &change.bytes, at(10)).unwrap();
    }
    assert_eq!(again.value(at(10), "b"), None);
    assert_eq!(again.value(at(1_001), "a").as_deref(), Some("3"));
    assert_eq!(again.value(at(1_002), "a"), None);
    let text = set(&mut cache, at(4), "long", "0123456789", 5).bytes;
    (0..text.len()).for_each(|cut| drop(again.replay(KIND_CACHE, &text[..cut], at(10))));
}

#[test]
fn what_was_evicted_and_then_deleted_does_not_come_back() {
    let settings = CacheSettings { max_bytes: 2 * (OVERHEAD_BYTES + 2), ..CacheSettings::default() };
    let mut cache = Cache::new(settings, Sequencer::default());
    let mut records = vec![set(&mut cache, at(0), "a", "1", 0), set(&mut cache, at(0), "b", "2", 0)];
    // What is read is not recorded, so a replay evicts another one.
    assert!(cache.value(at(0), "a").is_some());
    records.push(set(&mut cache, at(0), "c", "3", 0));
    assert_eq!(cache.value(at(0), "b"), None);
    let CacheStep::Change(deleted) = cache.delete(at(1), &"b".into()) else { panic!() };
    cache.commit(deleted.sequence);
    records.push(deleted);
    let mut again = Cache::new(settings, Sequencer::default());
    records.iter().for_each(|change| again.replay(change.kind, &change.bytes, at(2)).unwrap());
    assert_eq!(again.value(at(2), "b"), None);
}
