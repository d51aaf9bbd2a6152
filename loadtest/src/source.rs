//! Where the connections of one generator thread get their next operation from.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_listener::Event;
use ringmesh::runtime;

use crate::gate::{Gate, Phase};
use crate::mix::Script;
use crate::pace::{Pace, Random, Schedule};

/// Arrivals that may wait for a connection on one thread. Later ones are counted as not begun.
const MAX_BACKLOG: usize = 1 << 20;
/// The longest pause of the pacer, so that it sees the end of the run.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// One operation that is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When it was to begin: latency counts from here.
    pub(crate) intended: Instant,
    /// When the generator saw that it was due. What lies between is its own lateness, whatever the server did.
    pub(crate) released: Instant,
    /// Which operation of the mix.
    pub(crate) operation: usize,
    /// Whether it was to begin within the measured time; in a closed loop its end tells what is measured.
    pub(crate) measured: bool,
}

impl Arrival {
    /// How late the generator saw that it was due.
    pub(crate) fn seen_late(&self) -> Duration {
        self.released.saturating_duration_since(self.intended)
    }
}

/// The arrivals of one thread.
#[derive(Debug)]
pub(crate) struct Source {
    gate: Arc<Gate>,
    schedule: Option<RefCell<Schedule>>,
    backlog: RefCell<VecDeque<Arrival>>,
    /// Sums of the weights of the operations up to each one.
    sums: Vec<u64>,
    random: RefCell<Random>,
    arrived: Event,
    offered: Cell<u64>,
    dropped: Cell<u64>,
    /// What may still begin when the run is over: as many as can have been on their way to a free connection.
    most_at_end: usize,
    /// Whether more than that waited at the end, so that nothing begins any more.
    given_up: Cell<bool>,
}

impl Source {
    /// The source of thread `index` of `parts` for so many requests in flight; an open loop begins now.
    pub(crate) fn new(
        gate: Arc<Gate>,
        script: &Script,
        pace: Pace,
        seed: u64,
        (index, parts): (usize, usize),
        in_flight: usize,
    ) -> Self {
        let schedule = match pace {
            Pace::Closed => None,
            Pace::Open { rate, arrivals } => {
                let schedule = Schedule::new(Instant::now(), rate, arrivals, seed, (index, parts));
                Some(RefCell::new(schedule))
            }
        };
        let mut sum = 0;
        let sums = script.operations.iter().map(|operation| {
            sum += u64::from(operation.weight);
            sum
        });
        Self {
            gate,
            schedule,
            backlog: RefCell::new(VecDeque::new()),
            sums: sums.collect(),
            random: RefCell::new(Random::new(!seed ^ index as u64)),
            arrived: Event::new(),
            offered: Cell::new(0),
            dropped: Cell::new(0),
            most_at_end: in_flight,
            given_up: Cell::new(false),
        }
    }

    /// Whether operations begin on a schedule.
    pub(crate) fn is_open(&self) -> bool {
        self.schedule.is_some()
    }

    /// The next operation, if one is to begin now.
    pub(crate) fn try_take(&self, now: Instant) -> Option<Arrival> {
        if !self.is_open() {
            let measured = false;
            let over = self.gate.phase() == Phase::Over;
            let (intended, released) = (now, now);
            return (!over).then(|| Arrival { intended, released, operation: self.pick(), measured });
        }
        self.release(now);
        if self.waiting() == 0 {
            return None;
        }
        self.backlog.borrow_mut().pop_front()
    }

    /// Arrivals that will still be begun. A server that was behind at the end is not asked for the rest.
    pub(crate) fn waiting(&self) -> usize {
        if self.is_over() {
            // A generator that stood still at the end still owes what was to begin meanwhile.
            self.release(Instant::now());
        }
        let waiting = self.backlog.borrow().len();
        if self.is_over() && waiting > self.most_at_end {
            self.given_up.set(true);
        }
        if self.given_up.get() { 0 } else { waiting }
    }

    /// Returns when [`Source::try_take`] may have something; `false` once nothing more will come.
    pub(crate) async fn wait(&self) -> bool {
        let arrived = self.arrived.listen();
        if self.waiting() > 0 {
            return true;
        }
        if self.is_over() {
            return false;
        }
        arrived.await;
        true
    }

    /// Wakes waiting connections when their time has come, until the run is over; returns at once in a closed loop.
    pub(crate) async fn run_pacer(&self) {
        let Some(schedule) = &self.schedule else { return };
        while self.gate.phase() != Phase::Over {
            let now = Instant::now();
            self.release(now);
            let next = schedule.borrow().next().saturating_duration_since(now);
            runtime::sleep(next.min(LONGEST_PAUSE)).await;
        }
        self.arrived.notify(usize::MAX);
    }

    /// Arrivals of the measured time.
    pub(crate) fn offered(&self) -> u64 {
        self.offered.get()
    }

    /// Takes what nobody began, all that was dropped included: intended starts, and a number of others.
    pub(crate) fn take_unbegun(&self) -> (Vec<Arrival>, u64) {
        (self.backlog.take().into_iter().filter(|arrival| arrival.measured).collect(), self.dropped.take())
    }

    fn is_over(&self) -> bool {
        self.gate.phase() == Phase::Over
    }

    /// Puts what is due into the backlog.
    fn release(&self, now: Instant) {
        let Some(schedule) = &self.schedule else { return };
        let phase = self.gate.phase();
        if phase == Phase::Opening {
            return;
        }
        let due = self.gate.over_since().map_or(now, |over| over.min(now));
        let mut schedule = schedule.borrow_mut();
        let mut backlog = self.backlog.borrow_mut();
        while let Some(intended) = schedule.take_due(due) {
            let measured = self.gate.measures(intended);
            self.offered.set(self.offered.get() + u64::from(measured));
            if backlog.len() == MAX_BACKLOG {
                self.dropped.set(self.dropped.get() + u64::from(measured));
            } else {
                backlog.push_back(Arrival { intended, released: now, operation: self.pick(), measured });
            }
        }
        if !backlog.is_empty() {
            self.arrived.notify(backlog.len());
        }
    }

    /// An operation, each as often as its weight says.
    fn pick(&self) -> usize {
        let [_] = self.sums[..] else {
            let total = self.sums.last().copied().unwrap_or(1);
            let at = self.random.borrow_mut().next() % total;
            return self.sums.partition_point(|sum| *sum <= at);
        };
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::tests::setting;
    use crate::mix::{Mix, Script};
    use crate::pace::Arrivals;

    fn source(pace: Pace, in_flight: usize) -> (Arc<Gate>, Source) {
        let text = "[[operation]]\nname='a'\nweight=3\nstep=[{}]\n[[operation]]\nname='b'\nstep=[{}]";
        let script = Script::new(&Mix::new("m", text).unwrap(), &setting(16)).unwrap();
        let gate = Arc::new(Gate::new());
        (Arc::clone(&gate), Source::new(gate, &script, pace, 1, (0, 1), in_flight))
    }

    #[test]
    fn a_closed_loop_always_has_a_next_operation_until_it_is_over() {
        let (gate, source) = source(Pace::Closed, 1);
        gate.set(Phase::Measuring);
        let picked: Vec<usize> =
            (0..4000).filter_map(|_| source.try_take(Instant::now())).map(|a| a.operation).collect();
        let share = picked.iter().filter(|operation| **operation == 0).count();
        assert!(picked.len() == 4000 && (2800..3200).contains(&share), "{share}");
        gate.set(Phase::Over);
        assert_eq!(source.try_take(Instant::now()), None);
    }

    #[test]
    fn an_open_loop_keeps_what_nobody_takes_and_ends_with_the_run() {
        let (gate, source) = source(Pace::Open { rate: 1000.0, arrivals: Arrivals::Uniform }, 5_000);
        let later = Instant::now() + Duration::from_secs(1);
        gate.set(Phase::WarmUp);
        let first = source.try_take(later).unwrap();
        assert!(!first.measured && first.intended < later);
        gate.set(Phase::Measuring);
        assert!(source.try_take(later + Duration::from_secs(1)).is_some());
        assert!((990..=1010).contains(&source.offered()), "{}", source.offered());
        gate.set(Phase::Over);
        assert!(source.try_take(later + Duration::from_secs(9)).is_some());
        let (unbegun, dropped) = source.take_unbegun();
        assert_eq!((unbegun.len() as u64, dropped), (source.offered(), 0));
        assert_eq!(source.try_take(later), None);
    }

    #[test]
    fn what_was_due_before_the_end_is_offered_by_a_generator_that_comes_too_late() {
        let (gate, source) = source(Pace::Open { rate: 1000.0, arrivals: Arrivals::Uniform }, 4);
        gate.set(Phase::Measuring);
        std::thread::sleep(Duration::from_millis(50));
        gate.set(Phase::Over);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(source.waiting(), 0);
        let (unbegun, _) = source.take_unbegun();
        assert!(unbegun.len() >= 45 && source.offered() == unbegun.len() as u64, "{}", unbegun.len());
        assert!(unbegun.iter().all(|arrival| arrival.seen_late() >= Duration::from_millis(50)));
    }

    #[test]
    fn a_server_that_is_behind_at_the_end_is_not_asked_for_the_rest() {
        let (gate, source) = source(Pace::Open { rate: 1000.0, arrivals: Arrivals::Uniform }, 64);
        gate.set(Phase::Measuring);
        assert!(source.try_take(Instant::now() + Duration::from_secs(1)).is_some());
        gate.set(Phase::Over);
        assert_eq!((source.try_take(Instant::now()), source.waiting()), (None, 0));
        assert!(source.take_unbegun().0.len() > 900);
    }
}
