//! The task queue under SIGKILL: clients work, the server dies again and again, and a ledger of what was acknowledged is held
//! against what is there after each start. `QUEUE_CRASHES` says how often, `QUEUE_CRASH_SEED` when.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "not every target uses all of it")]
mod common;
mod ledger;
mod server;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use common::Client;
use ledger::Ledger;
use server::Server;

const CLIENTS: usize = 6;

/// What a client does until the server is gone: tasks from their submit to their end, some of them given back or retried.
fn work(client: usize, server: &Server, ledger: &Ledger, random: &mut Random) {
    let Ok(mut connection) = Client::try_connect(server.address) else { return };
    let worker = format!("worker-{client}");
    loop {
        let marker = random.next();
        let submit = json!({"task_type": "crash", "model_name": "m", "payload": {"marker": marker}});
        let Some(answer) = ask(&mut connection, "p2p_taskqueue_submit", submit) else { return };
        ledger.submitted(answer["task_id"].as_str().unwrap());
        let claim = json!({"worker_id": worker, "supported_task_types": ["crash"], "lease_s": 600});
        let Some(answer) = ask(&mut connection, "p2p_taskqueue_claim_next", claim) else { return };
        let task = &answer["task"];
        let Some(id) = task["task_id"].as_str() else { continue };
        let token = task["fencing_token"].as_u64().unwrap();
        ledger.claimed(id, token);
        let n = random.next() >> 12;
        let (status, ended) = match random.next() % 8 {
            0 => ("failed", json!({"status": "failed", "error": "again", "retryable": true})),
            1 => ("cancelled", json!({"status": "cancelled"})),
            _ => ("completed", json!({"status": "completed", "result": {"n": n}})),
        };
        let mut complete = json!({"task_id": id, "fencing_token": token});
        complete.as_object_mut().unwrap().extend(ended.as_object().unwrap().clone());
        ledger.ending(id, token, status, n);
        let Some(answer) = ask(&mut connection, "p2p_taskqueue_complete_task", complete) else { return };
        assert_eq!(answer["ok"], true, "the holder of a lease may end it: {answer}");
        ledger.ended(id, token, answer["status"].as_str().unwrap());
    }
}

/// The tool's object, or nothing where the server is gone.
fn ask(connection: &mut Client, tool: &str, arguments: Value) -> Option<Value> {
    connection.try_send(common::call(tool, arguments));
    let answer = connection.try_answer().ok()?;
    let mut answer: Value = serde_json::from_slice(&answer.body).ok()?;
    let object = answer["result"]["structuredContent"].take();
    // What a server that dies refuses was not acknowledged.
    (object["error"] != "queue_unavailable").then_some(object)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ drawn >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ drawn >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^ drawn >> 31
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_server_is_killed() {
    let (crashes, seed) = (number("QUEUE_CRASHES", 100), number("QUEUE_CRASH_SEED", 1));
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    for crash in 0..crashes {
        let server = Arc::new(Server::start(folder.path()));
        let context = format!("after {crash} crashes, seed {seed}");
        ledger.check(&mut Client::connect(server.address), crash + 1 == crashes, &context);
        let clients = (0..CLIENTS).map(|client| {
            let (server, ledger, mut random) = (server.clone(), ledger.clone(), Random(random.next()));
            std::thread::spawn(move || work(client, &server, &ledger, &mut random))
        });
        let clients: Vec<_> = clients.collect();
        // Soon after the start and in the midst of work alike.
        std::thread::sleep(Duration::from_millis(random.next() % 150));
        server.kill();
        for client in clients {
            client.join().unwrap_or_else(|_| panic!("{context}"));
        }
    }
    let server = Server::start(folder.path());
    ledger.check(&mut Client::connect(server.address), true, "at the end");
    let [submitted, claimed, ended] = ledger.acknowledged();
    eprintln!("{crashes} crashes, acknowledged: {submitted} submits, {claimed} claims, {ended} ends");
    assert!(ended > crashes, "hardly anything was done: {submitted} {claimed} {ended}");
    server.kill();
}
