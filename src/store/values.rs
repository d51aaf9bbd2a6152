//! What one core asks of the cache.

use std::sync::Arc;

use super::StoreError;
use super::commits::Machine;
use super::local::LocalStore;
use super::lock::ShortLock;
use crate::queue::Now;
use crate::queue::cache::{Cache, CacheStep, shard_of};

impl LocalStore {
    /// The value under a key, as JSON text, unless its time is over.
    pub fn cache_get(&self, key: &str) -> Option<Arc<str>> {
        self.shard(key).1.lock().value(self.now(), key)
    }

    /// Sets a value (JSON text); without a time to live, or with 0, it stays until it is evicted.
    ///
    /// # Errors
    /// `too_large`, `disk_full`, and those of a journal that ends.
    pub async fn cache_set(&self, key: Arc<str>, value: Arc<str>, ttl_ms: u64) -> Result<(), StoreError> {
        let name = key.clone();
        self.change_value(&name, |cache, now| Ok(cache.set(now, key.clone(), value.clone(), ttl_ms)?)).await
    }

    /// Removes a key.
    ///
    /// # Errors
    /// Those of a journal that ends.
    pub async fn cache_delete(&self, key: &str) -> Result<(), StoreError> {
        let name: Arc<str> = key.into();
        self.change_value(key, |cache, now| Ok(cache.delete(now, &name))).await
    }

    fn shard(&self, key: &str) -> (usize, &ShortLock<Cache>) {
        let caches = &self.store().caches;
        let shard = shard_of(key, caches.len());
        (shard, &caches[shard])
    }

    async fn change_value(
        &self,
        key: &str,
        mut ask: impl FnMut(&mut Cache, Now) -> Result<CacheStep, StoreError>,
    ) -> Result<(), StoreError> {
        let (shard, cache) = self.shard(key);
        let mut met = None;
        loop {
            let now = self.now();
            let asked = ask(&mut cache.lock(), now)?;
            match asked {
                CacheStep::Done => return Ok(()),
                CacheStep::Change(change) => return self.keep(Machine::Cache(shard), change).await.map(drop),
                CacheStep::Wait(sequence) => self.meet(&mut met, sequence).await?,
            }
        }
    }
}
