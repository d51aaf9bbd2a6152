//! A disk in memory that crashes: what was not synced is kept, dropped or torn by the sector, as a seed decides.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{pending, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::Poll;

use super::super::header::SECTOR;
use super::super::{Folder, LogFile};
use super::random::Random;

/// What the disk does wrong, besides crashing.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Faults {
    /// After so many operations nothing is ever answered again.
    pub(in super::super) crash_after: Option<u64>,
    /// The write or sync with this number fails, and what it was about is in an unknown state.
    pub(in super::super) fail_at: Option<u64>,
    /// Bytes that all files together may have.
    pub(in super::super) room: Option<u64>,
}

/// A handle of the disk; a clone is the same disk.
#[derive(Debug, Clone)]
pub(in super::super) struct SimDisk(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    random: Random,
    faults: Faults,
    operations: u64,
    writes: u64,
    crashed: bool,
    /// A disk whose operations take no time at all, for tests that look at one thing only.
    is_instant: bool,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

/// A change of names that is not durable yet.
#[derive(Debug, Clone)]
enum Change {
    Create(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

#[derive(Debug)]
pub(in super::super) struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl SimDisk {
    pub(in super::super) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            random: Random::new(seed),
            faults: Faults::default(),
            operations: 0,
            writes: 0,
            crashed: false,
            is_instant: false,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
        })))
    }

    /// A disk whose operations are done at their first poll.
    pub(in super::super) fn instant(seed: u64) -> Self {
        let disk = Self::new(seed);
        disk.0.borrow_mut().is_instant = true;
        disk
    }

    /// Sets what goes wrong from now on; operations are counted anew.
    pub(in super::super) fn set_faults(&self, faults: Faults) {
        let mut inner = self.0.borrow_mut();
        inner.faults = faults;
        inner.operations = 0;
        inner.writes = 0;
    }

    pub(in super::super) fn has_crashed(&self) -> bool {
        self.0.borrow().crashed
    }

    /// The power is lost, and comes back.
    pub(in super::super) fn crash(&self) {
        let inner = &mut *self.0.borrow_mut();
        let Inner { random, files, .. } = &mut *inner;
        files.iter_mut().for_each(|file| file.crash(random));
        let mut names = inner.durable_names.clone();
        for change in std::mem::take(&mut inner.changes) {
            if inner.random.one_in(2) {
                change.apply(&mut names);
            }
        }
        inner.durable_names.clone_from(&names);
        inner.names = names;
        inner.crashed = false;
        inner.faults = Faults::default();
    }

    /// The files by name, for tests that damage or count them.
    pub(in super::super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let inner = self.0.borrow();
        inner.names.iter().map(|(name, file)| (name.clone(), inner.files[*file].now.clone())).collect()
    }

    /// Changes the bytes of a file behind everybody's back, durably.
    pub(in super::super) fn alter(&self, name: &str, act: impl FnOnce(&mut Vec<u8>)) {
        let inner = &mut *self.0.borrow_mut();
        let file = &mut inner.files[inner.names[name]];
        act(&mut file.now);
        file.durable.clone_from(&file.now);
    }

    /// Removes a file behind everybody's back, durably.
    pub(in super::super) fn lose(&self, name: &str) {
        let inner = &mut *self.0.borrow_mut();
        inner.names.remove(name);
        inner.durable_names.remove(name);
    }

    /// Takes a moment, in which others run and the power may be lost.
    async fn pause(&self) {
        let mut turns = {
            let inner = &mut *self.0.borrow_mut();
            inner.operations += 1;
            if inner.faults.crash_after.is_some_and(|after| inner.operations > after) {
                inner.crashed = true;
            }
            if inner.is_instant { 0 } else { inner.random.below(3) }
        };
        if self.has_crashed() {
            return pending().await;
        }
        poll_fn(|cx| {
            if turns == 0 {
                return Poll::Ready(());
            }
            turns -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        if self.has_crashed() {
            pending().await
        }
    }

    fn fails(&self) -> bool {
        let mut inner = self.0.borrow_mut();
        inner.writes += 1;
        inner.faults.fail_at == Some(inner.writes)
    }

    fn change(&self, change: Change) {
        let inner = &mut *self.0.borrow_mut();
        change.apply(&mut inner.names);
        inner.changes.push(change);
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.0.borrow().names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn has_room_for(&self, bytes: u64) -> bool {
        let inner = self.0.borrow();
        let used: u64 = inner.names.values().map(|file| inner.files[*file].now.len() as u64).sum();
        inner.faults.room.is_none_or(|room| used + bytes <= room)
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to, file) => {
                // A disk without order may keep the new name of a file whose old one was never kept.
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Content {
    fn touch(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.now);
        self.dirty.clear();
    }

    fn crash(&mut self, random: &mut Random) {
        if self.durable.len() != self.now.len() {
            let len = if random.one_in(2) { self.durable.len() } else { self.now.len() };
            self.durable.resize(len, 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.durable.len()).min(self.now.len());
            if from >= to {
                continue;
            }
            let (old, new) = (&mut self.durable[from..to], &self.now[from..to]);
            match random.below(8) {
                0..3 => old.copy_from_slice(new),
                3..6 => {}
                6 => {
                    let torn = random.below(old.len() as u64) as usize;
                    old[..torn].copy_from_slice(&new[..torn]);
                }
                _ => old.iter_mut().for_each(|byte| *byte = random.next() as u8),
            }
        }
        self.now.clone_from(&self.durable);
    }
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

impl Folder for SimDisk {
    type File = SimFile;

    async fn names(&self) -> io::Result<Vec<String>> {
        self.pause().await;
        Ok(self.0.borrow().names.keys().cloned().collect())
    }

    async fn create(&self, name: &str, bytes: u64) -> io::Result<SimFile> {
        let name = name.to_owned();
        self.pause().await;
        if self.find(&name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !self.has_room_for(bytes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = {
            let mut inner = self.0.borrow_mut();
            inner.files.push(Content { now: vec![0; bytes as usize], ..Content::default() });
            inner.files.len() - 1
        };
        self.change(Change::Create(name, file));
        Ok(SimFile { disk: self.clone(), file })
    }

    async fn open(&self, name: &str) -> io::Result<SimFile> {
        self.pause().await;
        Ok(SimFile { disk: self.clone(), file: self.find(name)? })
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.pause().await;
        self.change(Change::Rename(from.to_owned(), to.to_owned(), self.find(from)?));
        Ok(())
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        self.pause().await;
        self.find(name)?;
        self.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        self.pause().await;
        if self.fails() {
            return Err(broken());
        }
        let inner = &mut *self.0.borrow_mut();
        inner.durable_names.clone_from(&inner.names);
        inner.changes.clear();
        Ok(())
    }
}

impl LogFile for SimFile {
    async fn read_all(&self) -> io::Result<Vec<u8>> {
        self.disk.pause().await;
        Ok(self.disk.0.borrow().files[self.file].now.clone())
    }

    async fn write_at(&self, bytes: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        // The bytes may be on their way long before the answer is.
        {
            let file = &mut self.disk.0.borrow_mut().files[self.file];
            let (from, to) = (offset as usize, offset as usize + bytes.len());
            if file.now.len() < to {
                file.now.resize(to, 0);
            }
            file.now[from..to].copy_from_slice(&bytes);
            file.touch(from, to);
        }
        self.disk.pause().await;
        if self.disk.fails() { Err(broken()) } else { Ok(bytes) }
    }

    async fn sync_data(&self) -> io::Result<()> {
        let until = self.disk.0.borrow().files[self.file].dirty.clone();
        self.disk.pause().await;
        let fails = self.disk.fails();
        let inner = &mut *self.disk.0.borrow_mut();
        let Inner { files, random, .. } = inner;
        let file = &mut files[self.file];
        if fails {
            // As Linux does: what could not be written counts as clean from now on, and is lost with the power.
            file.dirty.retain(|_| random.one_in(2));
            return Err(broken());
        }
        if until == file.dirty {
            file.sync();
        } else {
            file.sync_some(&until);
        }
        Ok(())
    }

    async fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.disk.pause().await;
        let file = &mut self.disk.0.borrow_mut().files[self.file];
        file.now.resize(bytes as usize, 0);
        Ok(())
    }
}

impl Content {
    /// Only what was written when the sync began is durable at its end.
    fn sync_some(&mut self, sectors: &BTreeSet<usize>) {
        self.durable.resize(self.now.len(), 0);
        for sector in sectors {
            let from = (sector * SECTOR).min(self.now.len());
            let to = (from + SECTOR).min(self.now.len());
            self.durable[from..to].copy_from_slice(&self.now[from..to]);
            self.dirty.remove(sector);
        }
    }
}
