//! What the tests of scopes share.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use ringmesh::runtime::ScopeOptions;

pub(crate) fn options(grace: Duration) -> ScopeOptions {
    ScopeOptions { grace, ..ScopeOptions::named("test") }
}

/// Counts how many of its tokens are alive.
#[derive(Clone, Default)]
pub(crate) struct Alive(Rc<Cell<usize>>);

pub(crate) struct Token(Alive);

impl Alive {
    pub(crate) fn token(&self) -> Token {
        self.0.set(self.0.get() + 1);
        Token(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

/// A task that ends only by being dropped.
#[allow(dead_code, reason = "not every test binary that shares this waits for ever")]
pub(crate) async fn forever(token: Token) {
    pending::<()>().await;
    drop(token);
}
