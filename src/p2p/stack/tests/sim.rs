//! An executor of a few tasks that runs them in an order drawn from a seed, and knows when nothing more will happen.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// Polls after which a simulation is taken to spin.
const MAX_POLLS: u64 = 20_000_000;

#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// A number from 0 to `below`, which it does not reach.
    pub(super) fn below(&mut self, below: usize) -> usize {
        (self.next() % below.max(1) as u64) as usize
    }
}

type Future_ = Pin<Box<dyn Future<Output = ()>>>;

struct Woken {
    task: usize,
    ready: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.lock().unwrap();
        if !ready.contains(&self.task) {
            ready.push(self.task);
        }
    }
}

/// A simulation, to spawn tasks into. Clones are the same simulation.
#[derive(Clone)]
pub(super) struct Sim(Rc<Inner>);

struct Inner {
    tasks: RefCell<Vec<Option<Future_>>>,
    ready: Arc<Mutex<Vec<usize>>>,
    random: RefCell<Random>,
    polls: Cell<u64>,
}

impl Sim {
    /// Runs `main` to its end. `None` when it waits for something that cannot happen any more.
    pub(super) fn try_run<T: 'static, F: Future<Output = T> + 'static>(
        seed: u64,
        main: impl FnOnce(Sim) -> F,
    ) -> Option<T> {
        let sim = Sim(Rc::new(Inner {
            tasks: RefCell::default(),
            ready: Arc::default(),
            random: RefCell::new(Random::new(seed)),
            polls: Cell::new(0),
        }));
        let done = sim.spawn(main(sim.clone()));
        while done.0.result.borrow().is_none() {
            let Some(task) = sim.draw() else { break };
            sim.poll(task);
        }
        // The tasks know the simulation, so it has to let go of them first.
        let tasks = sim.0.tasks.take();
        drop(tasks);
        done.0.result.take()
    }

    /// As [`Sim::try_run`], and it must end.
    pub(super) fn run<T: 'static, F: Future<Output = T> + 'static>(
        seed: u64,
        main: impl FnOnce(Sim) -> F,
    ) -> T {
        Self::try_run(seed, main).unwrap_or_else(|| panic!("seed {seed}: everybody waits for somebody"))
    }

    pub(super) fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        let state = Rc::new(State { result: RefCell::new(None), waiter: RefCell::new(None) });
        let done = state.clone();
        let future = Box::pin(async move {
            let result = future.await;
            done.result.replace(Some(result));
            let waiter = done.waiter.take();
            waiter.into_iter().for_each(Waker::wake);
        });
        let mut tasks = self.0.tasks.borrow_mut();
        self.0.ready.lock().unwrap().push(tasks.len());
        tasks.push(Some(future));
        Task(state)
    }

    /// How often tasks were polled.
    pub(super) fn polls(&self) -> u64 {
        self.0.polls.get()
    }

    pub(super) fn below(&self, below: usize) -> usize {
        self.0.random.borrow_mut().below(below)
    }

    fn draw(&self) -> Option<usize> {
        let mut ready = self.0.ready.lock().unwrap();
        if ready.is_empty() {
            return None;
        }
        let drawn = self.below(ready.len());
        Some(ready.remove(drawn))
    }

    fn poll(&self, task: usize) {
        self.0.polls.set(self.0.polls.get() + 1);
        assert!(self.0.polls.get() < MAX_POLLS, "it spins");
        let Some(mut future) = self.0.tasks.borrow_mut()[task].take() else { return };
        let waker = Waker::from(Arc::new(Woken { task, ready: self.0.ready.clone() }));
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.0.tasks.borrow_mut()[task] = Some(future);
        }
    }
}

struct State<T> {
    result: RefCell<Option<T>>,
    waiter: RefCell<Option<Waker>>,
}

/// A task of a simulation, to wait for. Dropping it lets the task run on.
pub(super) struct Task<T>(Rc<State<T>>);

impl<T> Task<T> {
    pub(super) fn is_done(&self) -> bool {
        self.0.result.borrow().is_some()
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(result) = self.0.result.take() {
            return Poll::Ready(result);
        }
        self.0.waiter.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}
