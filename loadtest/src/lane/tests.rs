//! Lanes against an honest echo, without sockets.

use super::*;
use crate::key::{FIRST_ID, find};
use crate::mix::Mix;
use crate::mix::tests::{echo, setting};

fn shared(script: Script, phase: Phase, open_loop: bool) -> Rc<Shared> {
    let gate = Arc::new(Gate::new());
    gate.set(phase);
    let duration = Duration::from_secs(1);
    Rc::new(Shared::new(gate, Arc::new(script), open_loop, duration, FIRST_ID))
}

fn lane(pipeline: usize, phase: Phase) -> Lane {
    Lane::new(shared(echo(16), phase, false), 0, pipeline, Vec::new())
}

fn arrival(intended: Instant) -> Arrival {
    Arrival { intended, released: intended, operation: 0, measured: true }
}

/// Begins operations until there is no room; the bytes to send.
fn refill(lane: &mut Lane, now: Instant) -> Vec<u8> {
    while lane.has_room() {
        lane.begin(arrival(now), now);
    }
    lane.take_out(Vec::new())
}

/// What an honest server answers to the bytes that a lane sends: the echo of a message, or the tool's name as a kept value.
fn serve(requests: &[u8]) -> Vec<u8> {
    let mut answers = Vec::new();
    let mut rest = requests;
    while let Some(head) = find(rest, b"\r\n\r\n") {
        let length_at = find(rest, b"Content-Length: ").unwrap() + 16;
        let length: usize = String::from_utf8_lossy(&rest[length_at..head]).parse().unwrap();
        let call: Value = serde_json::from_slice(&rest[head + 4..][..length]).unwrap();
        let arguments = &call["params"]["arguments"];
        let result =
            serde_json::json!({"content": [{"text": arguments["message"]}], "token": 7, "told": arguments});
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, call["id"]);
        let fields = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
        answers.extend_from_slice(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}").as_bytes());
        rest = &rest[head + 4 + length..];
    }
    answers
}

#[test]
fn answers_split_anywhere_count_once_each() {
    let now = Instant::now();
    let mut lane = lane(3, Phase::Measuring);
    for (step, chunk) in [1, 7, 100, 1000].into_iter().enumerate() {
        let out = refill(&mut lane, now);
        for piece in serve(&out).chunks(chunk) {
            lane.receive(piece, now).unwrap();
        }
        assert!(lane.is_idle());
        assert_eq!(lane.shared.stats.borrow().samples(), 3 * (step as u64 + 1));
    }
    assert_eq!(lane.shared.stats.borrow().errors().len(), 0);
}

#[test]
fn only_the_measured_time_counts() {
    let now = Instant::now();
    let mut lane = lane(1, Phase::WarmUp);
    let out = refill(&mut lane, now);
    lane.receive(&serve(&out), now).unwrap();
    assert_eq!((lane.shared.stats.borrow().samples(), lane.is_idle()), (0, true));
}

#[test]
fn a_lost_connection_costs_each_operation_in_flight() {
    let start = Instant::now();
    let mut lane = lane(5, Phase::Measuring);
    refill(&mut lane, start);
    assert_eq!(lane.shared.outstanding(), 5);
    lane.fail(Fault::new(ErrorKind::Closed, "gone"), start);
    assert_eq!(lane.shared.outstanding(), 0);
    assert_eq!(lane.shared.stats.borrow().errors()[&ErrorKind::Closed], 5);
    assert_eq!(lane.receive(b"HTTP", start).unwrap_err().kind, ErrorKind::Http);
}

#[test]
fn steps_follow_each_other_with_what_was_kept_and_are_one_operation() {
    let text = "[[operation]]\nname='two'\n[[operation.step]]\ntool='a'\ncapture.token='/result/token'\n\
                [[operation.step]]\ntool='b'\narguments={ token='{token}', lane='{lane}' }\n\
                check.equals={ '/result/told/token'=7, '/result/told/lane'='3' }";
    let script = Script::new(&Mix::new("m", text).unwrap(), &setting(16)).unwrap();
    let now = Instant::now();
    let mut lane = Lane::new(shared(script, Phase::Measuring, false), 3, 1, Vec::new());
    lane.begin(arrival(now), now);
    for answered in 0..2 {
        assert!(!lane.is_idle() && lane.shared.stats.borrow().answers == answered);
        let out = lane.take_out(Vec::new());
        lane.receive(&serve(&out), now).unwrap();
    }
    let stats = lane.shared.stats.borrow();
    assert!(lane.is_idle() && stats.errors().is_empty(), "{:?}", stats.first_fault());
    assert_eq!((stats.answers, stats.completed, stats.samples()), (2, 1, 1));
}

#[test]
fn in_an_open_loop_latency_counts_from_the_intended_start_and_lag_from_when_there_was_room() {
    let start = Instant::now();
    let ms = |ms: u64| start + Duration::from_millis(ms);
    let shared = shared(echo(16), Phase::Measuring, true);
    let mut lane = Lane::new(Rc::clone(&shared), 0, 1, Vec::new());
    lane.free_since = start;
    lane.begin(arrival(ms(10)), ms(13));
    let out = lane.take_out(Vec::new());
    lane.receive(&serve(&out), ms(110)).unwrap();
    // The second was due while the first was in flight.
    lane.begin(arrival(ms(20)), ms(111));
    let out = lane.take_out(Vec::new());
    shared.gate.set(Phase::Over);
    lane.receive(&serve(&out), ms(120)).unwrap();
    let stats = shared.stats.borrow();
    let near = |value: u64, wanted_ms: u64| value.abs_diff(wanted_ms * 1_000_000) < 200_000;
    assert!(near(stats.lag_ns.max(), 3) && near(stats.lag_ns.min(), 1), "{:?}", stats.lag_ns.max());
    assert!(near(stats.latency_ns[0].min(), 100) && near(stats.latency_ns[0].max(), 100));
    assert_eq!((stats.samples(), stats.completed), (2, 1));
}

#[test]
fn what_the_generator_saw_late_is_its_own_lateness_even_when_it_waited_for_an_answer_too() {
    let start = Instant::now();
    let ms = |ms: u64| start + Duration::from_millis(ms);
    let shared = shared(echo(16), Phase::Measuring, true);
    let mut lane = Lane::new(Rc::clone(&shared), 0, 1, Vec::new());
    lane.begin(arrival(ms(10)), ms(10));
    let out = lane.take_out(Vec::new());
    // The generator stood still from 20 to 320 ms, with an answer in its socket.
    lane.receive(&serve(&out), ms(320)).unwrap();
    lane.begin(Arrival { released: ms(320), ..arrival(ms(30)) }, ms(321));
    let stats = shared.stats.borrow();
    assert!(stats.lag_ns.max().abs_diff(291_000_000) < 500_000, "{:?}", stats.lag_ns.max());
}
