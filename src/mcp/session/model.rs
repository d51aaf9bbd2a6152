//! The stream of a session beside a model that keeps everything: whatever happens in whatever order, readers get what
//! the model says, and the bytes that are counted are those that are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::limits::Limits;
use crate::mcp::session::log::StreamLog;
use crate::mcp::session::reader::{LogReader, Status};
use crate::mcp::session::replay::Replay;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What has happened so far.
#[derive(Default)]
struct Model {
    sent: Vec<Vec<u8>>,
    finished: bool,
    over: bool,
    readers: Vec<(LogReader, u64)>,
}

impl Model {
    /// The last reader reads on; every other finds its stream taken.
    fn read(&mut self, which: usize) {
        let is_last = which + 1 == self.readers.len();
        let (reader, read) = &mut self.readers[which];
        let status = reader.poll(&Context::from_waker(Waker::noop()));
        let mut out = Vec::new();
        let id = reader.take(&mut out);
        if !is_last || self.over {
            assert_eq!((status, id), (Status::Over, None));
            return;
        }
        match self.sent.get(*read as usize) {
            Some(event) => {
                assert_eq!((status, &out), (Status::Ready, event));
                *read += 1;
                assert_eq!(id.map(|id| id.sequence), Some(*read));
            }
            None => {
                let expected = if self.finished { Status::Over } else { Status::Waiting };
                assert_eq!((status, id), (expected, None));
            }
        }
    }
}

fn step(random: &mut Random, model: &mut Model, log: &Arc<StreamLog>, replay: &Replay) {
    match random.below(12) {
        0..=3 => {
            let event = vec![b'x'; random.below(300) as usize];
            log.push(event.clone());
            if !model.finished && !model.over {
                model.sent.push(event);
            }
        }
        4..=6 if !model.readers.is_empty() => {
            let which = random.below(model.readers.len() as u64) as usize;
            model.read(which);
        }
        7 => {
            let after = random.below(model.sent.len() as u64 + 2);
            match log.attach(Some(after)) {
                Some(reader) => model.readers.push((reader, after)),
                None => assert!(after > 0 || model.over || replay.dropped() > 0, "the start is there"),
            }
        }
        8 if !model.readers.is_empty() => {
            let which = random.below(model.readers.len() as u64) as usize;
            let was_last = which + 1 == model.readers.len();
            model.readers.remove(which);
            if was_last {
                // Those before it had lost the stream already.
                model.readers.clear();
            }
        }
        9 => log.cut(random.below(600)),
        10 if random.below(20) == 0 => {
            log.finish(None);
            model.finished |= !model.over;
        }
        11 if random.below(40) == 0 => {
            log.end();
            model.over = true;
        }
        _ => {}
    }
}

#[test]
fn readers_get_what_was_sent_whatever_happens() {
    for seed in 1..=300_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let replay = Arc::new(Replay::new(&Limits::default()));
        let session_bytes: Arc<AtomicU64> = Arc::default();
        let log = StreamLog::new(&replay, &session_bytes, 1, 1);
        let mut model = Model::default();
        for _ in 0..200 {
            step(&mut random, &mut model, &log, &replay);
            assert_eq!(replay.bytes(), session_bytes.load(Ordering::Relaxed), "seed {seed}");
        }
        drop((model, log));
        assert_eq!(replay.bytes(), 0, "seed {seed}");
    }
}

#[test]
fn the_process_drops_the_oldest_and_forgets_the_quiet() {
    let limits = Limits { max_replay_bytes: 10_000, replay_ttl_ms: 1_000, ..Limits::default() };
    let replay = Arc::new(Replay::new(&limits));
    let logs: Vec<_> = (0..5_000).map(|at| StreamLog::new(&replay, &Arc::default(), 1, at)).collect();
    for log in &logs {
        log.push(vec![b'x'; 100]);
        replay.trim();
        assert!(replay.bytes() <= 10_000);
    }
    assert!(logs[0].attach(Some(0)).is_none(), "the oldest went first");
    assert!(logs[4_999].attach(Some(0)).is_some());
    let now = Instant::now();
    // Each sweep looks at a part of them.
    for later in [0, 0, 2, 2] {
        replay.sweep(now + Duration::from_secs(later));
    }
    assert!(logs.iter().all(|log| log.is_over()));
    assert_eq!(replay.bytes(), 0);
}
