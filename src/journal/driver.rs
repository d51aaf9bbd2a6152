//! The one task that writes a log: everything that waits, one batch at a time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use event_listener::EventListener;

use super::committer::Step;
use super::error::{AppendError, JournalError};
use super::folder::{Folder, LogFile};
use super::log::{Log, Work};
use super::poison::Poisoned;
use super::segments::Segments;
use super::settings::Rule;
use super::shared::Counters;

type Sleep = Pin<Box<dyn Future<Output = ()>>>;

/// Writes one log. Run it as one task, on the thread of its [`Log`], in a queue that other threads may wake.
pub struct Driver<F: Folder, S> {
    log: Log,
    segments: Segments<F>,
    rule: Rule,
    sleep: S,
    /// Runs only while there is something to do at its end; an idle log costs nothing.
    tick: Option<Sleep>,
    tick_time: Duration,
    /// The time since the newest batch, in whole ticks.
    idle: Duration,
    poisoned: EventListener,
}

/// Why the driver goes on.
enum Wake {
    Work(Work),
    Tick,
    Poisoned,
}

/// Whoever waits hears of it when the driver is dropped before its end.
struct CloseOnDrop(Log);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.end(AppendError::Closed);
    }
}

impl<F: Folder, S> Driver<F, S> {
    pub(super) fn new(log: Log, segments: Segments<F>, sleep: S, rule: Rule) -> Self {
        let idle_time = log.journal().settings.idle_time;
        let tick_time = rule.sync_every.map_or(idle_time, |time| time.min(idle_time));
        let poisoned = log.journal().poison.listen();
        Self { log, segments, rule, sleep, tick: None, tick_time, idle: Duration::ZERO, poisoned }
    }
}

impl<F: Folder, S: Fn(Duration) -> T, T: Future<Output = ()> + 'static> Driver<F, S> {
    /// Writes until [`Log::stop`], and then what still waits.
    ///
    /// # Errors
    /// A write or an fsync failed, here or in another log. Nothing is tried again, and nothing acknowledged any more.
    pub async fn run(mut self) -> Result<(), Poisoned> {
        let close = CloseOnDrop(self.log.clone());
        let poison = self.log.journal().poison.clone();
        let ended = self.work().await;
        if let Err(error) = ended {
            poison.set(error.to_string());
        }
        let result = poison.check();
        if result.is_err() {
            close.0.end(AppendError::Poisoned);
        }
        result
    }

    /// Works until it is stopped or poisoned; an error is the first of its kind.
    async fn work(&mut self) -> Result<(), JournalError> {
        loop {
            self.arm();
            match self.wait().await {
                Wake::Work(Work::Records) => self.commit().await?,
                Wake::Work(Work::Stop) => return self.finish().await,
                Wake::Tick => self.tick().await?,
                Wake::Poisoned => return Ok(()),
            }
        }
    }

    /// Starts the timer where something is to be done once the log has been idle.
    fn arm(&mut self) {
        let (quiet, dirty, full) = self.log.with(|log| (log.is_quiet(), log.is_dirty(), log.is_full()));
        let syncs = self.rule.sync_each || self.rule.sync_every.is_some();
        if self.tick.is_none() && (full || syncs && (!quiet || dirty)) {
            self.tick = Some(Box::pin((self.sleep)(self.tick_time)));
        }
    }

    async fn wait(&mut self) -> Wake {
        poll_fn(|cx| {
            let poison = &self.log.journal().poison;
            // Polled whenever this task runs, so a listener that has been notified is never polled again.
            if poison.reason().is_some() || Pin::new(&mut self.poisoned).poll(cx).is_ready() {
                return Poll::Ready(Wake::Poisoned);
            }
            if let Poll::Ready(work) = self.log.poll_work(cx) {
                return Poll::Ready(Wake::Work(work));
            }
            if self.tick.as_mut().is_some_and(|tick| tick.as_mut().poll(cx).is_ready()) {
                self.tick = None;
                return Poll::Ready(Wake::Tick);
            }
            Poll::Pending
        })
        .await
    }

    /// Writes everything that waits, and whatever comes meanwhile.
    async fn commit(&mut self) -> Result<(), JournalError> {
        loop {
            let (newest, step) = self.log.with(|log| (log.newest_waiting(), log.next_step()));
            match step {
                Step::Idle => return Ok(()),
                Step::Roll => self.roll().await?,
                Step::Write(offset, bytes) => {
                    self.log.note_newest(newest.unwrap_or(0));
                    self.write(offset, bytes).await?;
                }
            }
            if self.log.journal().poison.reason().is_some() {
                return Ok(());
            }
            // While the disk is full, trying again is left to the timer.
            if self.log.with(|log| log.wants_spare() && !log.is_full()) {
                self.reserve().await?;
            }
        }
    }

    async fn write(&mut self, offset: u64, bytes: Vec<u8>) -> Result<(), JournalError> {
        self.idle = Duration::ZERO;
        let counters = self.log.counters();
        let records = self.log.with(|log| log.records_in_flight());
        Counters::add(if records == 0 { &counters.empty_batches } else { &counters.batches }, 1);
        Counters::add(&counters.records, records);
        Counters::add(&counters.bytes, bytes.len() as u64);
        let file = self.segments.file();
        if self.rule.sync_each && self.rule.acknowledge_after_sync {
            Counters::add(&counters.syncs, 1);
            let bytes =
                file.write_durably(bytes, offset).await.map_err(|error| self.failed("write", error))?;
            self.settle(|log| {
                log.written(bytes);
                log.synced()
            });
            return Ok(());
        }
        let bytes = file.write_at(bytes, offset).await.map_err(|error| self.failed("write", error))?;
        self.settle(|log| log.written(bytes));
        if self.rule.sync_each {
            self.sync().await?;
        }
        Ok(())
    }

    fn failed(&self, doing: &'static str, error: std::io::Error) -> JournalError {
        JournalError::io(doing, &self.segments.name())(error)
    }

    /// Lets the committer go on, unless another log has failed meanwhile: then nothing is acknowledged any more.
    fn settle(&self, act: impl FnOnce(&mut super::committer::Committer)) {
        if self.log.journal().poison.reason().is_none() {
            self.log.settle(act);
        }
    }

    /// Syncs what is not known durable; after a failure anywhere nothing is tried any more.
    async fn sync_if_dirty(&mut self) -> Result<(), JournalError> {
        let is_over = self.log.journal().poison.reason().is_some();
        if !is_over && self.log.with(|log| log.is_dirty()) { self.sync().await } else { Ok(()) }
    }

    async fn sync(&mut self) -> Result<(), JournalError> {
        Counters::add(&self.log.counters().syncs, 1);
        self.segments.file().sync_data().await.map_err(|error| self.failed("sync", error))?;
        self.settle(|log| log.synced());
        Ok(())
    }

    /// Goes on in the next segment; without one, everything that waits is refused.
    async fn roll(&mut self) -> Result<(), JournalError> {
        self.sync_if_dirty().await?;
        if !self.segments.has_spare() && !self.reserve().await? {
            let refused = self.log.settle(|log| log.refuse_all());
            Counters::add(&self.log.counters().disk_full, refused);
            return Ok(());
        }
        let (end, next_batch) = self.log.with(|log| (log.end(), log.next_batch()));
        if let Some(salt) = self.segments.roll(end, next_batch).await? {
            self.log.with(|log| log.enter(salt));
        }
        Ok(())
    }

    /// Sees that the next segment has its place on the medium; `false` when there is none for it.
    async fn reserve(&mut self) -> Result<bool, JournalError> {
        if self.segments.has_spare() {
            return Ok(true);
        }
        let reserved = self.segments.reserve().await?;
        if reserved {
            self.log.with(|log| log.has_room());
        } else {
            let refused = self.log.settle(|log| log.disk_full());
            Counters::add(&self.log.counters().disk_full, refused);
        }
        Ok(reserved)
    }

    async fn tick(&mut self) -> Result<(), JournalError> {
        self.idle += self.tick_time;
        if self.log.with(|log| log.is_full()) {
            self.reserve().await?;
        }
        if self.rule.sync_every.is_some() {
            self.sync_if_dirty().await?;
        }
        // The first tick after a batch may come at once.
        let was_idle = self.idle >= self.log.journal().settings.idle_time + self.tick_time;
        if was_idle { self.seal().await } else { Ok(()) }
    }

    /// Says with an empty batch that everything before it is durable.
    async fn seal(&mut self) -> Result<(), JournalError> {
        if let Step::Write(offset, bytes) = self.log.with(|log| log.empty_batch()) {
            self.write(offset, bytes).await?;
        }
        Ok(())
    }

    /// Writes and syncs what waits, whatever the mode.
    async fn finish(&mut self) -> Result<(), JournalError> {
        self.commit().await?;
        self.sync_if_dirty().await?;
        self.seal().await?;
        self.sync_if_dirty().await
    }
}

impl<F: Folder, S> fmt::Debug for Driver<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("log", &self.log).finish_non_exhaustive()
    }
}
