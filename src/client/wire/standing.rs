//! The one stream that an older server has for what it says on its own.

use std::cell::RefCell;

use event_listener::Event;

use crate::client::error::ClientError;
use crate::runtime::StopFlag;

/// Whether the stream stands, and the end of it.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Set when nobody needs it any more.
    pub(crate) stop: StopFlag,
    opened: RefCell<Option<Result<bool, ClientError>>>,
    settled: Event,
}

impl Standing {
    /// Says how opening it went, the first time; true when it stood already.
    pub(crate) fn settle(&self, how: Result<bool, ClientError>) -> bool {
        let mut opened = self.opened.borrow_mut();
        let stood = *opened == Some(Ok(true));
        opened.get_or_insert(how);
        self.settled.notify(usize::MAX);
        stood
    }

    /// Whether it is known how opening it went.
    pub(crate) fn is_settled(&self) -> bool {
        self.opened.borrow().is_some()
    }

    /// Waits until it stands: false where the server has no such stream.
    pub(crate) async fn opened(&self) -> Result<bool, ClientError> {
        loop {
            let settled = self.settled.listen();
            if let Some(how) = &*self.opened.borrow() {
                return how.clone();
            }
            settled.await;
        }
    }
}
