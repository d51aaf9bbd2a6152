//! The operations of the cache.

use super::fields::{Field, Fields};
use super::operations::Operation;
use super::queue::TaskQueue;
use super::readable;
use super::tasks::Answer;
use crate::store::LocalStore;

impl TaskQueue {
    /// Answers an operation of the cache. `null` is no value: to set it is to remove the key.
    pub(super) async fn cache_operation(
        &self,
        operation: Operation,
        fields: &Fields<'_>,
        store: &LocalStore,
    ) -> Answer {
        let key = fields.text(&[Field::Key]).unwrap_or_default();
        let hit = |hit: bool| if hit { "true" } else { "false" };
        let json = match operation {
            Operation::CacheGet | Operation::CacheHas => {
                let value = store.cache_get(&key);
                self.object(|object| {
                    object.raw("ok", "true");
                    object.string("key", &key);
                    object.raw("hit", hit(value.is_some()));
                    if operation == Operation::CacheGet {
                        object.raw("value", value.as_deref().unwrap_or("null"));
                    }
                })
            }
            Operation::CacheSet => {
                match fields.raw(Field::Value).filter(|raw| *raw != "null") {
                    Some(value) => {
                        readable::check("value", Some(value))?;
                        let ttl_s = fields.number_if_any(Field::TtlS).unwrap_or(0.0).max(0.0);
                        // A time that rounds to nothing is short, not endless.
                        let ttl_ms = if ttl_s > 0.0 { ((ttl_s * 1e3) as u64).max(1) } else { 0 };
                        store.cache_set((&*key).into(), value.into(), ttl_ms).await?;
                    }
                    None => store.cache_delete(&key).await?,
                }
                self.object(|object| {
                    object.raw("ok", "true");
                    object.string("key", &key);
                })
            }
            _ => {
                store.cache_delete(&key).await?;
                self.object(|object| {
                    object.raw("ok", "true");
                    object.string("key", &key);
                    object.raw("deleted", "true");
                })
            }
        };
        Ok((json, None))
    }
}
