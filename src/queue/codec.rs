//! Records as bytes: after-images of tasks, written and read back.

use std::sync::Arc;

use super::task::{Core, Holder, State, Status, Task, TaskId};
use super::time::Now;

/// The version that every record begins with.
const VERSION: u8 = 1;
const REMOVED: u8 = 0;
const CHANGED: u8 = 1;
const WHOLE: u8 = 2;
const LEASE: u8 = 3;

/// What one record says of one task.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Image {
    /// The task is gone.
    Removed(TaskId),
    /// All of it.
    Whole(Task),
    /// What may change.
    Changed(TaskId, State),
    /// When its lease ends, and what a renewal adds.
    Lease(TaskId, i64, u64),
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord(pub &'static str);

impl std::fmt::Display for BadRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a record of the task queue cannot be read: {}", self.0)
    }
}

impl std::error::Error for BadRecord {}

/// Writes a record: version, wall time, then images, each with the sequence of the change it is the image of.
///
/// Times of the monotonic clock are written as what is left until them (or has passed since) at the record's wall time.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    now: Now,
}

impl Writer {
    pub(super) fn new(now: Now) -> Writer {
        let mut writer = Writer { bytes: Vec::with_capacity(128), now };
        writer.bytes.push(VERSION);
        writer.number(now.wall_ms);
        writer
    }

    pub(super) fn removed(&mut self, sequence: u64, id: TaskId) {
        self.head(REMOVED, sequence, id);
    }

    pub(super) fn lease(&mut self, sequence: u64, id: TaskId, until_ms: i64, lease_ms: u64) {
        self.head(LEASE, sequence, id);
        self.time(until_ms);
        self.number(lease_ms);
    }

    pub(super) fn changed(&mut self, sequence: u64, id: TaskId, state: &State) {
        self.head(CHANGED, sequence, id);
        self.state(state);
    }

    pub(super) fn whole(&mut self, sequence: u64, task: &Task) {
        let core = &task.core;
        self.head(WHOLE, sequence, core.id);
        self.text(&core.task_type);
        self.text(&core.model_name);
        self.text(&core.payload);
        self.bytes.push(core.priority);
        self.number(core.max_attempts.into());
        self.option(core.session.as_deref());
        self.option(core.sticky_worker.as_deref());
        self.option(core.idempotency_key.as_deref());
        self.number(core.created_ms);
        self.time(core.created_mono_ms);
        self.number(core.created_sequence);
        self.state(&task.state);
    }

    fn head(&mut self, tag: u8, sequence: u64, id: TaskId) {
        self.bytes.push(tag);
        self.number(sequence);
        self.bytes.extend_from_slice(&id.0.to_be_bytes());
    }

    fn state(&mut self, state: &State) {
        self.bytes.push(state.status as u8);
        self.bytes.push(u8::from(state.dead) | u8::from(state.revoked) << 1);
        self.number(state.claims.into());
        self.number(state.attempts.into());
        self.option(state.holder.as_ref().map(|holder| &*holder.worker));
        self.option(state.holder.as_ref().map(|holder| &*holder.peer));
        self.number(state.token);
        self.time(state.lease_until_ms);
        self.number(state.lease_ms);
        self.time(state.not_before_ms);
        self.number(state.updated_ms);
        self.time(state.finished_mono_ms);
        self.option(state.result.as_deref());
        self.option(state.error.as_deref());
    }

    pub(super) fn time(&mut self, at_ms: i64) {
        let relative = at_ms.saturating_sub(self.now.mono_ms);
        self.number((relative << 1 ^ relative >> 63) as u64);
    }

    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A length of 0 is no text at all; any other is one more than the text has bytes.
    fn option(&mut self, text: Option<&str>) {
        match text {
            None => self.bytes.push(0),
            Some(text) => {
                self.number(text.len() as u64 + 1);
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// Reads the images of a record one after the other.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
    now: Now,
    wall_ms: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], now: Now) -> Result<Reader<'a>, BadRecord> {
        let mut reader = Reader { rest: bytes, now, wall_ms: 0 };
        if reader.byte()? != VERSION {
            return Err(BadRecord("its version is not 1"));
        }
        reader.wall_ms = reader.number()?;
        Ok(reader)
    }

    /// The next image with its sequence; `None` at the end.
    pub(super) fn image(&mut self) -> Result<Option<(u64, Image)>, BadRecord> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.byte()?;
        let sequence = self.number()?;
        let id = self.take(16)?.try_into().map_err(|_| BadRecord("an id is cut"))?;
        let id = TaskId(u128::from_be_bytes(id));
        let image = match tag {
            REMOVED => Image::Removed(id),
            CHANGED => Image::Changed(id, self.state()?),
            WHOLE => Image::Whole(Task { core: Arc::new(self.core(id)?), state: self.state()? }),
            LEASE => Image::Lease(id, self.time()?, self.number()?),
            _ => return Err(BadRecord("an image of a kind that is not known")),
        };
        Ok(Some((sequence, image)))
    }

    fn core(&mut self, id: TaskId) -> Result<Core, BadRecord> {
        Ok(Core {
            id,
            task_type: self.text()?.into(),
            model_name: self.text()?.into(),
            payload: self.text()?.into(),
            priority: self.byte()?,
            max_attempts: self.small()?,
            session: self.option()?,
            sticky_worker: self.option()?,
            idempotency_key: self.option()?,
            created_ms: self.number()?,
            created_mono_ms: self.time()?,
            created_sequence: self.number()?,
        })
    }

    fn state(&mut self) -> Result<State, BadRecord> {
        let status = self.byte()?;
        let status = *Status::ALL.get(usize::from(status)).ok_or(BadRecord("a status that is not known"))?;
        let flags = self.byte()?;
        let (claims, attempts) = (self.small()?, self.small()?);
        let holder = match (self.option()?, self.option()?) {
            (Some(worker), Some(peer)) => Some(Holder { worker, peer }),
            _ => None,
        };
        Ok(State {
            status,
            claims,
            attempts,
            holder,
            token: self.number()?,
            lease_until_ms: self.time()?,
            lease_ms: self.number()?,
            not_before_ms: self.time()?,
            updated_ms: self.number()?,
            finished_mono_ms: self.time()?,
            result: self.option()?,
            error: self.option()?,
            dead: flags & 1 != 0,
            revoked: flags & 2 != 0,
        })
    }

    pub(super) fn time(&mut self) -> Result<i64, BadRecord> {
        let value = self.number()?;
        let relative = (value >> 1) as i64 ^ -((value & 1) as i64);
        Ok(self.now.restore(relative, self.wall_ms))
    }

    fn small(&mut self) -> Result<u32, BadRecord> {
        u32::try_from(self.number()?).map_err(|_| BadRecord("a count is too great"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, BadRecord> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn number(&mut self) -> Result<u64, BadRecord> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(BadRecord("a number does not end"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], BadRecord> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(BadRecord("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn slice(&mut self, length: u64) -> Result<&'a str, BadRecord> {
        let length = usize::try_from(length).map_err(|_| BadRecord("a text is too long"))?;
        std::str::from_utf8(self.take(length)?).map_err(|_| BadRecord("a text is not UTF-8"))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, BadRecord> {
        let length = self.number()?;
        self.slice(length)
    }

    fn option(&mut self) -> Result<Option<Arc<str>>, BadRecord> {
        match self.number()? {
            0 => Ok(None),
            length => self.slice(length - 1).map(|text| Some(text.into())),
        }
    }
}
