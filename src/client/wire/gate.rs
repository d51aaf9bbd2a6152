//! One at a time: a lock of one executor that is waited for without holding anything else.

use std::cell::Cell;

use event_listener::Event;

/// A lock. Whoever holds its guard is alone.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    taken: Cell<bool>,
    free: Event,
}

/// Being alone behind a [`Gate`].
#[derive(Debug)]
pub(crate) struct Alone<'a>(&'a Gate);

impl Gate {
    pub(crate) async fn enter(&self) -> Alone<'_> {
        while self.taken.replace(true) {
            self.free.listen().await;
        }
        Alone(self)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.taken.set(false);
        self.0.free.notify(1);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_lite::future::{block_on, poll_once, yield_now, zip};

    use super::*;

    #[test]
    fn two_are_never_inside_together() {
        let (gate, log) = (Gate::default(), RefCell::new(Vec::new()));
        let visit = async |name: &'static str| {
            let _alone = gate.enter().await;
            log.borrow_mut().push(name);
            yield_now().await;
            log.borrow_mut().push(name);
        };
        block_on(zip(visit("a"), visit("b")));
        assert_eq!(*log.borrow(), ["a", "a", "b", "b"]);
    }

    #[test]
    fn one_that_stops_waiting_leaves_the_gate_to_others() {
        let gate = Gate::default();
        let first = block_on(gate.enter());
        let mut gives_up = Box::pin(gate.enter());
        assert!(block_on(poll_once(&mut gives_up)).is_none());
        drop(gives_up);
        drop(first);
        assert!(block_on(poll_once(gate.enter())).is_some());
    }
}
