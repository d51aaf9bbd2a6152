//! Any bytes as the messages of a stream, for the fuzzer: whatever comes, what goes out is sound.

use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::limits::Limits;
use crate::mcp::fuzz::dispatcher;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{Access, At};
use crate::mcp::peer::options::{Gate, PeerOptions, With};
use crate::mcp::peer::session::{PeerSession, Taken};

struct Open;

impl Gate for Open {
    fn admit(&self) -> Result<(), ErrorKind> {
        Ok(())
    }

    fn access(&self, _token: &str) -> Access {
        Access::Full
    }
}

/// Takes each line as one message of a stream.
///
/// # Panics
/// An answer that no peer could read, which is what the fuzzer looks for.
pub(crate) fn fuzz_messages(data: &[u8]) {
    let options = PeerOptions::new("peer", &Limits::default(), true);
    let at = At {
        now: Instant::now(),
        core: 0,
        principal: "fuzz peer",
        full: false,
        traceparent: None,
        access: Access::ReadOnly,
    };
    let with = With { dispatcher: dispatcher(), options: &options, at, gate: &Open };
    let mut session = PeerSession::new();
    for line in data.split(|byte| *byte == b'\n').take(16) {
        if !take(&mut session, &with, line) {
            return;
        }
    }
}

/// Takes one message and brings it to its end; whether the stream goes on.
fn take(session: &mut PeerSession, with: &With<'_>, line: &[u8]) -> bool {
    let cx = &mut TaskContext::from_waker(Waker::noop());
    let mut out = Vec::new();
    let taken = session.take(with, line, &mut out);
    let form = session.form(with.options);
    match taken {
        Taken::Silent(_) | Taken::Cancel(..) => assert!(out.is_empty()),
        Taken::Answer(_) => sound(&out),
        Taken::Last(label) => {
            sound(&out);
            assert!(label.error.is_some(), "nothing but an error ends a stream");
            return false;
        }
        Taken::Feed(..) => assert!(!session.is_sequential() && out.is_empty()),
        Taken::Batch(mut batch) => {
            while batch.poll(cx, &mut out).is_pending() {
                batch.refuse_questions();
                while batch.poll_event(cx, &mut Vec::new()).is_ready() {}
            }
        }
        Taken::TaskQueue(call) => {
            serde_json::from_str::<IgnoredAny>(&call.request).expect("a request is JSON");
            assert!(call.request.starts_with('{'));
            call.write(br#"{"ok":true}"#, &mut out);
            sound(&out);
        }
        Taken::Call(mut call) => {
            let label = loop {
                if let Poll::Ready(answer) = call.poll(cx, &mut out) {
                    break answer.label;
                }
                while call.poll_event(cx, &mut Vec::new()).is_ready() {}
                call.refuse_question();
            };
            form.finish(&mut out, 0, Some(call.id()), label);
            sound(&out);
        }
    }
    true
}

fn sound(out: &[u8]) {
    serde_json::from_slice::<IgnoredAny>(out).expect("answers are JSON");
    // The ids of old peers come back as they came, also where they are no number that can be read.
    let Ok(message) = serde_json::from_slice::<Value>(out) else { return };
    assert_eq!(message["jsonrpc"], "2.0");
    assert!(message.get("result").is_some() != message.get("error").is_some(), "{message}");
}
