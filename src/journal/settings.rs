//! What the owner of a journal decides.

use std::time::Duration;

use crate::limits::Limits;

/// When a record counts as kept, and so what a crash can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Once it is on the medium. No crash takes it.
    #[default]
    Always,
    /// Once the kernel has it; it goes to the medium after at most this time. The end of the process takes nothing, a
    /// loss of power what was acknowledged within this time.
    Interval(Duration),
    /// Once the kernel has it, which writes it when it likes. The end of the process takes nothing, a loss of power
    /// whatever the kernel still had, usually half a minute's worth.
    None,
}

/// When a batch is made durable, and when its records are acknowledged. The tests have combinations that are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) sync_each: bool,
    pub(super) acknowledge_after_sync: bool,
    pub(super) sync_every: Option<Duration>,
}

impl Mode {
    pub(super) fn rule(self) -> Rule {
        let always = self == Self::Always;
        let sync_every = match self {
            Self::Interval(time) => Some(time),
            Self::Always | Self::None => None,
        };
        Rule { sync_each: always, acknowledge_after_sync: always, sync_every }
    }
}

/// The bounds of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// When a record counts as kept.
    pub mode: Mode,
    /// How many logs are written: one a core.
    pub logs: u32,
    /// Bytes reserved for each segment, from 8 KiB on. A record and a batch must fit in one.
    pub segment_bytes: u64,
    /// Bytes at the end of a segment that refusable records leave to others while no new segment can be reserved.
    pub reserve_bytes: u64,
    /// Bytes of one record at most.
    pub max_record_bytes: usize,
    /// Bytes of one batch at most; a larger record than that has a batch of its own.
    pub max_batch_bytes: usize,
    /// Bytes of the records of one log that wait to be written; more are refused.
    pub max_waiting_bytes: usize,
    /// A log that was written to and then idle writes an empty batch after one to two of these.
    pub idle_time: Duration,
    /// A number that nobody can guess. It goes into the checksums, so that a payload never passes for a batch.
    pub salt: u64,
    /// Take what is whole of a damaged journal, and set the damaged files aside.
    pub repair: bool,
}

impl Default for Settings {
    /// One log in mode `always`; the salt is 0, so set it.
    fn default() -> Self {
        Self {
            mode: Mode::Always,
            logs: 1,
            segment_bytes: 32 << 20,
            reserve_bytes: 8 << 20,
            max_record_bytes: 5 << 20,
            max_batch_bytes: 4 << 20,
            max_waiting_bytes: 64 << 20,
            idle_time: Duration::from_millis(450),
            salt: 0,
            repair: false,
        }
    }
}

impl Settings {
    /// The defaults with the configured limits.
    pub fn from_limits(limits: &Limits) -> Self {
        let segment_bytes = limits.journal_segment_bytes.next_multiple_of(4_096);
        Self {
            segment_bytes,
            reserve_bytes: segment_bytes / 4,
            max_record_bytes: limits.max_journal_record_bytes as usize,
            max_waiting_bytes: limits.max_journal_waiting_bytes as usize,
            ..Self::default()
        }
    }

    /// What keeps these values from working together, as a sentence.
    ///
    /// # Errors
    /// The sentence.
    pub fn check(&self) -> Result<(), String> {
        // A header, a batch of the largest record, and an empty batch must fit beside the reserve.
        let needed = self.max_record_bytes as u64 + self.reserve_bytes + 4_096;
        if self.segment_bytes < needed.max(8 << 10) || !self.segment_bytes.is_multiple_of(4_096) {
            return Err(format!(
                "a journal segment must be a multiple of 4096 bytes and have at least {needed}, room for its reserve \
                 and the largest record; {} is not",
                self.segment_bytes
            ));
        }
        if self.logs == 0 || self.logs > 0xffff {
            return Err(format!("a journal has from 1 to 65535 logs, not {}", self.logs));
        }
        if self.idle_time > Duration::from_millis(500) {
            return Err(
                "an idle log must write an empty batch within 1 s, so idle_time is 500 ms at most".to_owned()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::*;

    #[test]
    fn the_defaults_work_together_and_what_does_not_is_named() {
        assert_eq!(Settings::from_limits(&Limits::default()), Settings::default());
        Settings::default().check().unwrap();
        let small = Settings { segment_bytes: 8 << 20, ..Settings::default() };
        assert!(small.check().unwrap_err().contains("8388608 is not"));
        assert!(Settings { logs: 0, ..Settings::default() }.check().unwrap_err().contains("from 1 to 65535"));
    }
}
