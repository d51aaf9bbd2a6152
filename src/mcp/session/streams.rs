//! The event streams of one session: those of its calls, and the one for messages that belong to no call.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::limits::Limit;
use crate::mcp::listen::hub::{Hub, Registration};
use crate::mcp::listen::inbox::{Inbox, Wanted};
use crate::mcp::session::event_id::EventId;
use crate::mcp::session::log::StreamLog;
use crate::mcp::session::reader::LogReader;
use crate::mcp::session::replay::Replay;

/// Costs nothing until the session's first stream.
#[derive(Default)]
pub(crate) struct Streams {
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    /// What the ids of all its events begin with.
    tag: Option<u32>,
    next: u32,
    bytes: Option<Arc<AtomicU64>>,
    /// Those of calls, oldest first.
    calls: VecDeque<Arc<StreamLog>>,
    own: Option<Arc<StreamLog>>,
    registration: Option<Arc<Registration>>,
    ended: bool,
}

/// Why a stream cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Another connection reads it.
    Taken,
    /// No such event, or what came after it was dropped.
    Forgotten,
    /// The session has ended.
    Ended,
}

/// The stream of a call just begun.
pub(crate) struct Opened {
    pub(crate) log: Arc<StreamLog>,
    /// What the session keeps, over all its streams.
    pub(crate) bytes: Arc<AtomicU64>,
    /// `None` when the session ended meanwhile.
    pub(crate) reader: Option<LogReader>,
    /// The limit for which an older stream was forgotten.
    pub(crate) hit: Option<Limit>,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, Index> {
        crate::mcp::lock(&self.index)
    }

    /// Begins the stream of a call, with its one reader.
    pub(crate) fn open(&self, replay: &Arc<Replay>) -> Opened {
        let mut index = self.lock();
        let log = index.new_log(replay);
        let forgotten = match index.calls.len() >= replay.max_streams {
            true => index.forget_one(),
            false => None,
        };
        if index.ended {
            log.end();
        } else {
            index.calls.push_back(log.clone());
        }
        let bytes = index.bytes.clone().unwrap_or_default();
        drop(index);
        let hit = forgotten.map(|forgotten| {
            forgotten.forget();
            Limit::SessionStreams
        });
        let reader = log.attach(Some(0));
        Opened { log, bytes, reader, hit }
    }

    /// Reads the session's own stream from now on.
    pub(crate) fn read_own(&self, replay: &Arc<Replay>) -> Result<LogReader, Unreadable> {
        let mut index = self.lock();
        if index.ended {
            return Err(Unreadable::Ended);
        }
        if let Some(own) = &index.own {
            if own.has_reader() {
                return Err(Unreadable::Taken);
            }
            if let Some(reader) = own.attach(None) {
                return Ok(reader);
            }
        }
        let own = index.new_log(replay);
        index.own = Some(own.clone());
        own.attach(None).ok_or(Unreadable::Ended)
    }

    /// Reads a stream on from behind an event; true when it is the session's own stream.
    pub(crate) fn resume(&self, id: EventId) -> Result<(LogReader, bool), Unreadable> {
        let (log, is_own) = self.lock().find(id)?;
        let reader = log.attach(Some(id.sequence)).ok_or(Unreadable::Forgotten)?;
        Ok((reader, is_own))
    }

    /// The session's inbox, registered from the first time on.
    pub(crate) fn inbox(&self, hub: &Hub, wanted: Wanted) -> Result<Arc<Registration>, Unreadable> {
        let mut index = self.lock();
        if index.ended {
            return Err(Unreadable::Ended);
        }
        let registered = index
            .registration
            .get_or_insert_with(|| Arc::new(hub.register(Arc::new(Inbox::new(wanted, Vec::new())))));
        Ok(registered.clone())
    }

    /// Gives the session the inbox of its channel.
    pub(crate) fn adopt(&self, registration: Arc<Registration>) {
        let mut index = self.lock();
        if !index.ended {
            index.registration = Some(registration);
        }
    }

    /// The session's inbox, if it ever had one.
    pub(crate) fn known_inbox(&self) -> Option<Arc<Registration>> {
        self.lock().registration.clone()
    }

    /// Ends every stream, because the session has ended.
    pub(crate) fn end(&self) {
        let (logs, registration) = {
            let mut index = self.lock();
            index.ended = true;
            let own = index.own.take();
            let calls = std::mem::take(&mut index.calls);
            (calls.into_iter().chain(own).collect::<Vec<_>>(), index.registration.take())
        };
        logs.iter().for_each(|log| log.end());
        drop(registration);
    }

    /// Drops the oldest events until the session, and then the process, keep no more than they may; the limit that made
    /// them go, if any.
    pub(crate) fn bound(&self, replay: &Replay, bytes: &AtomicU64) -> Option<Limit> {
        let mut hit = None;
        if bytes.load(Ordering::Relaxed) > replay.max_session_bytes {
            self.trim(replay, bytes);
            hit = Some(Limit::SessionReplayBytes);
        }
        if replay.is_over() {
            replay.trim();
            hit = Some(Limit::ReplayBytes);
        }
        hit
    }

    /// Drops the oldest events until the session keeps no more than it may.
    fn trim(&self, replay: &Replay, bytes: &AtomicU64) {
        let mut logs: Vec<Arc<StreamLog>> = {
            let index = self.lock();
            index.calls.iter().chain(&index.own).cloned().collect()
        };
        logs.sort_by_cached_key(|log| log.age());
        for log in logs {
            let excess = bytes.load(Ordering::Relaxed).saturating_sub(replay.max_session_bytes);
            if excess == 0 {
                return;
            }
            log.cut(excess);
        }
    }
}

impl Index {
    fn new_log(&mut self, replay: &Arc<Replay>) -> Arc<StreamLog> {
        let tag = *self.tag.get_or_insert_with(random_tag);
        self.next += 1;
        // Streams that a sweep has ended are found nowhere any more.
        self.calls.retain(|log| !log.is_over());
        StreamLog::new(replay, self.bytes.get_or_insert_default(), tag, self.next)
    }

    fn find(&self, id: EventId) -> Result<(Arc<StreamLog>, bool), Unreadable> {
        if self.ended {
            return Err(Unreadable::Ended);
        }
        if self.tag != Some(id.tag) {
            return Err(Unreadable::Forgotten);
        }
        let own = self.own.iter().map(|log| (log, true));
        let mut logs = own.chain(self.calls.iter().map(|log| (log, false)));
        let (log, is_own) = logs.find(|(log, _)| log.stream == id.stream).ok_or(Unreadable::Forgotten)?;
        Ok((log.clone(), is_own))
    }

    /// Takes out the stream that ended first, or else one without a reader, or else the oldest.
    fn forget_one(&mut self) -> Option<Arc<StreamLog>> {
        let (place, _) = self.calls.iter().enumerate().min_by_key(|(_, log)| log.age())?;
        self.calls.remove(place)
    }
}

/// Tells the ids of two sessions apart. Nothing secret hangs on it, so a failing source only makes that less certain.
fn random_tag() -> u32 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}
