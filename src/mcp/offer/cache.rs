//! How long a client may keep a result (2026-07-28).

use std::time::Duration;

/// Who may keep a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheScope {
    /// Anyone, for everyone: the result depends on nobody in particular.
    Public,
    /// The one who asked, for himself.
    #[default]
    Private,
}

impl CacheScope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CacheScope::Public => "public",
            CacheScope::Private => "private",
        }
    }
}

/// The caching hints of one result.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cache {
    pub(crate) ttl: Duration,
    pub(crate) scope: CacheScope,
}

impl Cache {
    /// `,"ttlMs":…,"cacheScope":"…"`
    pub(crate) fn members(self) -> String {
        // Clients read numbers as doubles; beyond 2^53 they would read another one.
        let ttl_ms = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX).min(1 << 53);
        format!(r#","ttlMs":{ttl_ms},"cacheScope":"{}""#, self.scope.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_keeps_a_result_unless_told() {
        assert_eq!(Cache::default().members(), r#","ttlMs":0,"cacheScope":"private""#);
        let long = Cache { ttl: Duration::MAX, scope: CacheScope::Public };
        assert_eq!(long.members(), r#","ttlMs":9007199254740992,"cacheScope":"public""#);
    }
}
