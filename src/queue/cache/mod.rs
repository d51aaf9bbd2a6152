//! A cache of values with times to live, in bounded memory: one shard of it, as pure as the queue.
//!
//! The caller keeps several shards, each behind a lock of its own, and picks one with [`shard_of`]. Changes have the two
//! phases of the queue. What is evicted is not recorded: after a restart it may be there again, unless its time is over.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::codec::{BadRecord, Reader, Writer};
use super::{Change, Now, Refusal, Sequencer};

/// What the journal is told that a record of the cache is.
pub const KIND_CACHE: u8 = 2;
/// What an entry costs besides its key and value.
const OVERHEAD_BYTES: usize = 128;
const DELETED: u8 = 0;
const SET: u8 = 1;

/// What bounds one shard.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// Bytes of keys, values and what each entry costs; past it the least recently used go.
    pub max_bytes: usize,
    /// Bytes of one key.
    pub max_key_bytes: usize,
    /// Bytes of one value.
    pub max_value_bytes: usize,
}

impl Default for CacheSettings {
    fn default() -> Self {
        CacheSettings { max_bytes: 16 << 20, max_key_bytes: 1 << 10, max_value_bytes: 960 << 10 }
    }
}

/// How far a change of the cache came.
#[derive(Debug, Clone, PartialEq)]
pub enum CacheStep {
    /// Nothing is to be changed: the key is not there.
    Done,
    /// Journal this, then commit it.
    Change(Change),
    /// The key is being changed; wait until that sequence is committed, then ask again.
    Wait(u64),
}

#[derive(Debug)]
struct Item {
    value: Arc<str>,
    expires_ms: Option<i64>,
    sequence: u64,
    used: u64,
}

type Value = Option<(Arc<str>, Option<i64>)>;

/// One shard.
#[derive(Debug)]
pub struct Cache {
    settings: CacheSettings,
    sequencer: Sequencer,
    items: HashMap<Arc<str>, Item>,
    recent: BTreeMap<u64, Arc<str>>,
    expiries: BTreeSet<(i64, Arc<str>)>,
    pending: HashMap<u64, (Arc<str>, Value)>,
    changing: HashMap<Arc<str>, u64>,
    bytes: usize,
    uses: u64,
    evictions: u64,
}

/// Which of `shards` holds a key; the same in every run of this program.
pub fn shard_of(key: &str, shards: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() as usize % shards.max(1)
}

impl Cache {
    /// An empty shard.
    pub fn new(settings: CacheSettings, sequencer: Sequencer) -> Cache {
        Cache {
            settings,
            sequencer,
            items: HashMap::new(),
            recent: BTreeMap::new(),
            expiries: BTreeSet::new(),
            pending: HashMap::new(),
            changing: HashMap::new(),
            bytes: 0,
            uses: 0,
            evictions: 0,
        }
    }

    /// The value under a key, unless its time is over.
    pub fn value(&mut self, now: Now, key: &str) -> Option<Arc<str>> {
        let item = self.items.get_mut(key)?;
        if item.expires_ms.is_some_and(|at| at <= now.mono_ms) {
            return None;
        }
        let name = self.recent.remove(&item.used)?;
        self.uses += 1;
        item.used = self.uses;
        self.recent.insert(self.uses, name);
        Some(item.value.clone())
    }

    /// Sets a value (JSON text); without a time to live, or with 0, it stays until it is evicted.
    ///
    /// # Errors
    /// `too_large`.
    pub fn set(
        &mut self,
        now: Now,
        key: Arc<str>,
        value: Arc<str>,
        ttl_ms: u64,
    ) -> Result<CacheStep, Refusal> {
        if key.len() > self.settings.max_key_bytes {
            return Err(Refusal::TooLarge { what: "key", max: self.settings.max_key_bytes });
        }
        if value.len() > self.settings.max_value_bytes {
            return Err(Refusal::TooLarge { what: "value", max: self.settings.max_value_bytes });
        }
        let expires_ms = (ttl_ms > 0).then(|| now.after(ttl_ms));
        Ok(self.reserve(now, key, Some((value, expires_ms))))
    }

    /// Removes a key.
    pub fn delete(&mut self, now: Now, key: &Arc<str>) -> CacheStep {
        // What was evicted has no record of its end, and would be there again after a restart.
        let may_be_kept = self.evictions > 0;
        match may_be_kept || self.items.contains_key(key) || self.changing.contains_key(key) {
            true => self.reserve(now, key.clone(), None),
            false => CacheStep::Done,
        }
    }

    fn reserve(&mut self, now: Now, key: Arc<str>, value: Value) -> CacheStep {
        if let Some(sequence) = self.changing.get(&key) {
            return CacheStep::Wait(*sequence);
        }
        let sequence = self.sequencer.reserve();
        let mut writer = Writer::new(now);
        write(&mut writer, sequence, &key, value.as_ref().map(|(value, at)| (value, *at)));
        let refusable = value.is_some();
        self.changing.insert(key.clone(), sequence);
        self.pending.insert(sequence, (key, value));
        CacheStep::Change(Change { sequence, kind: KIND_CACHE, bytes: writer.bytes, refusable })
    }

    /// Makes a change visible whose record is durable; false if there is no such change.
    pub fn commit(&mut self, sequence: u64) -> bool {
        let Some((key, value)) = self.pending.remove(&sequence) else { return false };
        self.changing.remove(&key);
        self.put(sequence, key, value);
        true
    }

    /// Undoes a change whose record will never be written.
    pub fn abort(&mut self, sequence: u64) {
        if let Some((key, _)) = self.pending.remove(&sequence) {
            self.changing.remove(&key);
        }
    }

    fn put(&mut self, sequence: u64, key: Arc<str>, value: Value) {
        self.drop_item(&key);
        let Some((value, expires_ms)) = value else { return };
        self.uses += 1;
        self.bytes += key.len() + value.len() + OVERHEAD_BYTES;
        self.recent.insert(self.uses, key.clone());
        if let Some(at) = expires_ms {
            self.expiries.insert((at, key.clone()));
        }
        self.items.insert(key, Item { value, expires_ms, sequence, used: self.uses });
        while self.bytes > self.settings.max_bytes {
            let Some(oldest) = self.recent.values().next().cloned() else { break };
            self.drop_item(&oldest);
            self.evictions += 1;
        }
    }

    fn drop_item(&mut self, key: &Arc<str>) {
        let Some(item) = self.items.remove(key) else { return };
        self.bytes -= key.len() + item.value.len() + OVERHEAD_BYTES;
        self.recent.remove(&item.used);
        if let Some(at) = item.expires_ms {
            self.expiries.remove(&(at, key.clone()));
        }
    }

    /// When the next value's time is over.
    pub fn next_due(&self) -> Option<i64> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Forgets at most `budget` values whose time is over; nobody sees them any more anyway.
    pub fn tick(&mut self, now: Now, budget: usize) {
        for _ in 0..budget {
            match self.expiries.first() {
                Some((at, key)) if *at <= now.mono_ms => {
                    let key = key.clone();
                    self.drop_item(&key);
                }
                _ => return,
            }
        }
    }

    /// Bytes held, and how many values were evicted for want of room.
    pub fn usage(&self) -> (usize, u64) {
        (self.bytes, self.evictions)
    }

    /// Applies a record; what is older than the value that is there is skipped.
    ///
    /// # Errors
    /// A record that is damaged, of another version, or not of the cache.
    pub fn replay(&mut self, kind: u8, bytes: &[u8], now: Now) -> Result<(), BadRecord> {
        if kind != KIND_CACHE {
            return Err(BadRecord("it is of another kind"));
        }
        let mut reader = Reader::new(bytes, now)?;
        while !reader.rest.is_empty() {
            let (tag, sequence) = (reader.byte()?, reader.number()?);
            self.sequencer.advance(sequence);
            let key: Arc<str> = reader.text()?.into();
            let value = match tag {
                DELETED => None,
                SET => {
                    let value = reader.text()?.into();
                    let expires_ms = (reader.byte()? == 1).then(|| reader.time()).transpose()?;
                    Some((value, expires_ms))
                }
                _ => return Err(BadRecord("a change of a kind that is not known")),
            };
            if self.items.get(&key).is_none_or(|item| item.sequence < sequence) {
                self.put(sequence, key, value);
            }
        }
        Ok(())
    }

    /// The keys that there are now: what a snapshot goes through.
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.recent.values().cloned().collect()
    }

    /// The part of a snapshot that holds these keys: a record for each that is still there.
    pub fn snapshot(&self, keys: &[Arc<str>], now: Now) -> Vec<(u64, Vec<u8>)> {
        let records = keys.iter().filter_map(|key| {
            let item = self.items.get(key)?;
            let mut writer = Writer::new(now);
            write(&mut writer, item.sequence, key, Some((&item.value, item.expires_ms)));
            Some((item.sequence, writer.bytes))
        });
        records.collect()
    }

    /// Whether a change up to this sequence is reserved and neither committed nor aborted.
    pub fn is_pending_up_to(&self, sequence: u64) -> bool {
        self.pending.keys().any(|pending| *pending <= sequence)
    }
}

/// The key that a record of the cache is about, which says to which shard it belongs.
///
/// # Errors
/// As [`Cache::replay`].
pub fn key_of(bytes: &[u8], now: Now) -> Result<Arc<str>, BadRecord> {
    let mut reader = Reader::new(bytes, now)?;
    reader.byte()?;
    reader.number()?;
    Ok(reader.text()?.into())
}

fn write(writer: &mut Writer, sequence: u64, key: &str, value: Option<(&Arc<str>, Option<i64>)>) {
    writer.bytes.push(if value.is_some() { SET } else { DELETED });
    writer.number(sequence);
    writer.text(key);
    if let Some((value, expires_ms)) = value {
        writer.text(value);
        writer.bytes.push(u8::from(expires_ms.is_some()));
        if let Some(at) = expires_ms {
            writer.time(at);
        }
    }
}
