//! What a message wants, before it is taken: where a stream is full, what asks for something waits, and nothing else does.

use crate::mcp::message::envelope::{Kind, Message};
use crate::mcp::message::scan::Scanner;
use crate::mcp::peer::session::{Dialect, PeerSession};
use crate::mcp::serve::dispatcher::{Dispatcher, Form, check_envelope};

/// What a message wants, as far as that decides when it is taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look<'f> {
    /// Nothing: it answers, cancels or notifies.
    Tells,
    /// Something to be said about it; the id of its request (JSON text), where it has one.
    Asks(Option<&'f str>),
}

impl PeerSession {
    /// Looks at a message without taking it. One that cannot be read asks: it is refused in its turn.
    pub(crate) fn look<'f>(&self, dispatcher: &Dispatcher, frame: &'f [u8]) -> Look<'f> {
        if self.dialect != Dialect::Newer {
            return Look::Asks(None);
        }
        let mut message = Message::default();
        match dispatcher.parse(frame, &mut message) {
            Ok(Form::Message) => look(&message),
            Ok(Form::Batch(text)) => look_at_batch(dispatcher, text),
            Err(_) => Look::Asks(None),
        }
    }
}

fn look<'f>(message: &Message<'f>) -> Look<'f> {
    match check_envelope(message) {
        Ok(Some(_)) if message.id.is_some() => Look::Asks(message.id),
        Ok(_) => Look::Tells,
        Err(_) => Look::Asks(None),
    }
}

/// A batch asks when one of its messages does.
fn look_at_batch<'f>(dispatcher: &Dispatcher, text: &str) -> Look<'f> {
    let max = dispatcher.shared.options.limits.max_batch_messages as usize;
    let depth = dispatcher.shared.max_depth;
    let mut scanner = Scanner::new(text, depth);
    scanner.peek();
    let tells = |text: &&str| {
        let mut message = Message::default();
        message.parse(text, depth).is_ok() && message.kind == Kind::Object && look(&message) == Look::Tells
    };
    match scanner.members(max.saturating_add(1)) {
        Some(members) if (1..=max).contains(&members.len()) && members.iter().all(tells) => Look::Tells,
        _ => Look::Asks(None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::*;
    use crate::mcp::fuzz::dispatcher;

    const CALL: &str = r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#;
    const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

    #[test]
    fn what_asks_waits_and_what_tells_does_not() {
        let session = PeerSession { dialect: Dialect::Newer, ..PeerSession::new() };
        let look = |text: &str| match session.look(dispatcher(), text.as_bytes()) {
            Look::Tells => "tells".to_owned(),
            Look::Asks(id) => format!("asks {}", id.unwrap_or_default()),
        };
        assert_eq!([look(CALL), look(NOTE), look(ANSWER)], ["asks \"a\"", "tells", "tells"]);
        assert_eq!(look(&format!("[{NOTE},{ANSWER}]")), "tells");
        for asks in [format!("[{NOTE},{CALL}]"), "[]".into(), "[5]".into(), "{".into(), "{}".into()] {
            assert_eq!(look(&asks), "asks ", "{asks}");
        }
        let many = format!("[{}]", vec![NOTE; 65].join(","));
        assert_eq!(look(&many), "asks ", "it is refused in its turn");
        let old = PeerSession { dialect: Dialect::Old, ..PeerSession::new() };
        assert_eq!(old.look(dispatcher(), NOTE.as_bytes()), Look::Asks(None), "one after the other");
    }
}
