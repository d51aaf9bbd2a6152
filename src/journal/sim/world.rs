//! A few cores that change entities, snapshot them, lose their power, and compare what they find with what they were told.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::settings::Rule;
use super::super::{Journal, Log, Opened, Record, Recovered, Settings, open};
use super::disk::{Faults, SimDisk};
use super::random::Random;
use super::tasks::{run_all, run_one, sleep, turn};

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const ENTITIES: u64 = 12;

/// The last change of an entity, and what it is since then.
type State = BTreeMap<u8, (u64, Option<Vec<u8>>)>;

/// What the world knows outside of the disk.
#[derive(Debug, Default)]
struct Model {
    /// Every record that was handed to a log, or found again.
    issued: BTreeMap<u64, (u8, Vec<u8>)>,
    /// What was acknowledged, or found again.
    kept: State,
    /// Entities with a change that is not decided yet.
    busy: BTreeSet<u8>,
    /// Sequences that are not decided yet.
    open: BTreeSet<u64>,
    next_sequence: u64,
    acknowledged: u64,
}

/// What one seed made of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    pub(super) acknowledged: u64,
    pub(super) cut_bytes: u64,
    pub(super) snapshots: u64,
    pub(super) segments: u64,
    pub(super) crashes: u64,
}

pub(super) struct World {
    pub(super) disk: SimDisk,
    random: Random,
    model: Rc<RefCell<Model>>,
    rule: Rule,
    outcome: Outcome,
}

impl World {
    pub(super) fn new(seed: u64, rule: Rule) -> Self {
        let (disk, random) = (SimDisk::new(seed), Random::new(!seed));
        let model = Rc::new(RefCell::new(Model { next_sequence: 1, ..Model::default() }));
        Self { disk, random, model, rule, outcome: Outcome::default() }
    }

    /// Lets the world run and crash a few times; an error says what was lost or altered.
    pub(super) fn run(mut self) -> Result<Outcome, String> {
        for _ in 0..2 + self.random.below(2) {
            let Some(opened) = self.open()? else { continue };
            self.check(&opened.recovered)?;
            let crash_after = Some(5 + self.random.below(120));
            self.disk.set_faults(Faults { crash_after, ..Faults::default() });
            self.live(&opened.journal)?;
            self.outcome.crashes += 1;
            self.disk.crash();
        }
        let opened = loop {
            if let Some(opened) = self.open()? {
                break opened;
            }
        };
        self.check(&opened.recovered)?;
        self.outcome.acknowledged = self.model.borrow().acknowledged;
        Ok(self.outcome)
    }

    /// Opens the journal; `None` when the power went again meanwhile.
    fn open(&mut self) -> Result<Option<Opened>, String> {
        let crash_after = self.random.one_in(3).then(|| self.random.below(30));
        self.disk.set_faults(Faults { crash_after, ..Faults::default() });
        let settings = self.settings();
        let opened = run_one(open(&self.disk, settings), || self.disk.has_crashed());
        self.disk.set_faults(Faults::default());
        match opened {
            None => {
                self.disk.crash();
                Ok(None)
            }
            Some(opened) => {
                opened.map(Some).map_err(|error| format!("a crash alone made it refuse: {error}"))
            }
        }
    }

    fn settings(&mut self) -> Settings {
        Settings {
            logs: 1 + self.random.below(3) as u32,
            segment_bytes: [8 << 10, 12 << 10, 16 << 10][self.random.below(3) as usize],
            reserve_bytes: 2 << 10,
            max_record_bytes: 1_200,
            max_batch_bytes: 2 << 10,
            max_waiting_bytes: 64 << 10,
            idle_time: Duration::from_millis(100),
            salt: self.random.next(),
            ..Settings::default()
        }
    }

    /// Holds what was found against what was acknowledged. What was found is what counts from then on.
    fn check(&mut self, recovered: &Recovered) -> Result<(), String> {
        let model = &mut *self.model.borrow_mut();
        let mut state = State::new();
        let snapshot = recovered.snapshot_records().map(|record| (true, record));
        for (in_snapshot, record) in snapshot.chain(recovered.records().map(|record| (false, record))) {
            let issued = model.issued.get(&record.sequence);
            if issued.is_none_or(|(kind, bytes)| (*kind, &bytes[..]) != (record.kind, record.bytes)) {
                return Err(format!(
                    "record {} was altered or never written ({in_snapshot})",
                    record.sequence
                ));
            }
            let value = (record.kind == PUT).then(|| record.bytes.to_vec());
            let entity = state.entry(record.bytes[0]).or_insert((0, None));
            if record.sequence > entity.0 {
                *entity = (record.sequence, value);
            }
        }
        for (entity, (sequence, value)) in &model.kept {
            let found = state.get(entity).map_or(0, |found| found.0);
            if found < *sequence && (value.is_some() || found != 0) {
                return Err(format!("entity {entity} is at {found} but was acknowledged at {sequence}"));
            }
        }
        let served = recovered.snapshot_records().chain(recovered.records()).map(|record| record.sequence);
        let served: BTreeSet<u64> = served.collect();
        model.issued.retain(|sequence, _| served.contains(sequence));
        let next = recovered.next_sequence();
        if model
            .issued
            .keys()
            .chain(model.kept.values().map(|(sequence, _)| sequence))
            .any(|used| *used >= next)
        {
            return Err(format!("sequence {next} would be used again"));
        }
        // A removal that a snapshot covers is in no record any more.
        model.kept.retain(|_, (_, value)| value.is_none());
        model.kept.extend(state);
        model.busy.clear();
        model.open.clear();
        model.next_sequence = next;
        self.outcome.cut_bytes += recovered.report.cut_bytes;
        self.outcome.segments += recovered.report.segments;
        Ok(())
    }

    /// Runs logs, clients and a snapshot until the crash.
    fn live(&mut self, journal: &Arc<Journal>) -> Result<(), String> {
        let mut logs = Vec::new();
        let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for log in 0..journal.settings.logs {
            let start = journal.start_with(log, self.disk.clone(), sleep, self.rule);
            let Some(started) = run_one(start, || self.disk.has_crashed()) else { return Ok(()) };
            let (handle, driver) = started.map_err(|error| error.to_string())?;
            logs.push(handle);
            tasks.push(Box::pin(async move { driver.run().await.unwrap() }));
        }
        for log in &logs {
            for _ in 0..1 + self.random.below(3) {
                let random = Random::new(self.random.next());
                tasks.push(Box::pin(client(log.clone(), Rc::clone(&self.model), random)));
            }
        }
        let snapshots = Rc::new(RefCell::new(0));
        if self.random.one_in(2) {
            let (journal, disk) = (Arc::clone(journal), self.disk.clone());
            let random = Random::new(self.random.next());
            tasks.push(Box::pin(snapshots_of(
                journal,
                disk,
                Rc::clone(&self.model),
                random,
                Rc::clone(&snapshots),
            )));
        }
        run_all(&mut self.random, tasks, || self.disk.has_crashed());
        self.outcome.snapshots += *snapshots.borrow();
        Ok(())
    }
}

async fn client(log: Log, model: Rc<RefCell<Model>>, mut random: Random) {
    loop {
        for _ in 0..random.below(6) * random.below(6) {
            turn().await;
        }
        let entity = random.below(ENTITIES) as u8;
        let Some(record) = issue(&mut model.borrow_mut(), entity, &mut random) else { continue };
        let (sequence, kind, bytes) = (record.sequence, record.kind, record.bytes.clone());
        let kept = match log.append(record, true) {
            Ok(durable) => durable.await,
            Err(error) => Err(error),
        };
        let mut model = model.borrow_mut();
        kept.unwrap();
        model.kept.insert(entity, (sequence, (kind == PUT).then_some(bytes)));
        model.open.remove(&sequence);
        model.busy.remove(&entity);
        model.acknowledged += 1;
    }
}

/// A change of an entity; none while another is not decided yet.
fn issue(model: &mut Model, entity: u8, random: &mut Random) -> Option<Record> {
    if !model.busy.insert(entity) {
        return None;
    }
    let sequence = model.next_sequence;
    model.next_sequence += 1;
    model.open.insert(sequence);
    let len = if random.one_in(8) { random.below(1_100) } else { random.below(200) };
    let mut bytes = vec![entity];
    (0..len / 8).for_each(|_| bytes.extend_from_slice(&random.next().to_le_bytes()));
    let kind = if random.one_in(5) { REMOVE } else { PUT };
    model.issued.insert(sequence, (kind, bytes.clone()));
    Some(Record { sequence, kind, bytes })
}

async fn snapshots_of(
    journal: Arc<Journal>,
    disk: SimDisk,
    model: Rc<RefCell<Model>>,
    mut random: Random,
    count: Rc<RefCell<u64>>,
) {
    loop {
        for _ in 0..random.below(100) {
            turn().await;
        }
        let sequence = {
            let model = model.borrow();
            model.open.first().copied().unwrap_or(model.next_sequence) - 1
        };
        let mut snapshot = journal.begin_snapshot(disk.clone(), sequence).await.unwrap();
        for entity in 0..ENTITIES as u8 {
            let kept = model.borrow().kept.get(&entity).cloned();
            let Some((sequence, Some(bytes))) = kept else { continue };
            snapshot.write_chunk(&[Record { sequence, kind: PUT, bytes }]).await.unwrap();
        }
        snapshot.finish().await.unwrap();
        *count.borrow_mut() += 1;
    }
}
