//! A peer over TCP on a thread of its own: the real handshake, and answers by a script.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, future};
use ringmesh::p2p::identity::Identity;
use ringmesh::p2p::stack::{InboundStream, PeerStream, Role, StackOptions, upgrade};
use ringmesh::p2p::{MCP_PROTOCOL, PeerId, TASK_QUEUE_PROTOCOL};
use ringmesh::runtime::{
    AsyncStream, ExecutorSettings, Listener, Scope, ScopeOptions, Stream, sleep, spawn_executor, warm_up,
};
use serde_json::{Value, json};

/// What a peer says to a message: any number of messages, and then `None` to end the stream.
pub type Answer = dyn Fn(&Value) -> Vec<Option<Value>> + Send + Sync;

/// What tests look at while the peer runs.
#[derive(Default)]
pub struct Seen {
    pub messages: Mutex<Vec<Value>>,
    pub connections: AtomicUsize,
    pub streams: AtomicUsize,
    pub dialers: Mutex<Vec<PeerId>>,
}

pub struct TestPeer {
    pub identity: Identity,
    pub addr: SocketAddr,
    pub seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TestPeer {
    /// A peer that answers by the script, and speaks the protocol under this name.
    pub fn start(protocol: &'static str, answer: Box<Answer>) -> TestPeer {
        let identity = Identity::ephemeral();
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let (told, tells) = mpsc::channel();
        let (stopped, seeing, own) = (Arc::clone(&stop), Arc::clone(&seen), identity.clone());
        let thread = std::thread::spawn(move || {
            let main = move || async move {
                warm_up().await;
                let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), 64).unwrap();
                told.send(listener.local_addr()).unwrap();
                let served = Served { protocol, answer, seen: seeing, identity: own };
                let options =
                    ScopeOptions { grace: Duration::from_millis(20), ..ScopeOptions::named("peer") };
                let body = |scope: Scope| async move {
                    let stop = async {
                        while !stopped.load(Ordering::Relaxed) {
                            sleep(Duration::from_millis(2)).await;
                        }
                    };
                    future::or(accept(scope.clone(), listener, Rc::new(served)), stop).await;
                    scope.cancel();
                    Ok::<(), std::convert::Infallible>(())
                };
                Scope::run(options, body).await.unwrap();
            };
            spawn_executor(None, "peer", &ExecutorSettings::default(), main).unwrap().join().unwrap();
        });
        TestPeer { identity, addr: tells.recv().unwrap(), seen, stop, thread: Some(thread) }
    }

    /// A peer of 2026-07-28 with one tool, `echo`.
    pub fn echo() -> TestPeer {
        Self::start(MCP_PROTOCOL, Box::new(|message| vec![modern(message)]))
    }

    /// Where it is, and who must be there.
    pub fn target(&self) -> String {
        self.target_of(self.identity.base58())
    }

    /// Where it is, and somebody else.
    pub fn target_of(&self, id: &str) -> String {
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{id}", self.addr.port())
    }

    pub fn messages(&self) -> Vec<Value> {
        self.seen.messages.lock().unwrap().clone()
    }
}

impl Drop for TestPeer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

/// The answers of a server of 2026-07-28 with the tool `echo`.
pub fn modern(message: &Value) -> Option<Value> {
    let echo = json!({ "name": "echo", "description": "Says it again",
        "inputSchema": { "type": "object", "properties": { "message": { "type": "string" } } } });
    let result = match message["method"].as_str()? {
        "server/discover" => json!({ "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "peer", "version": "9" } } }),
        "tools/list" => json!({ "tools": [echo] }),
        "tools/call" => {
            json!({ "content": [{ "type": "text", "text": message["params"]["arguments"]["message"] }] })
        }
        _ => Value::Null,
    };
    let mut answer = json!({ "jsonrpc": "2.0", "id": message["id"] });
    match result {
        Value::Null => answer["error"] = json!({ "code": -32601, "message": "no such method" }),
        mut result => {
            result["resultType"] = "complete".into();
            answer["result"] = result;
        }
    }
    Some(answer)
}

struct Served {
    protocol: &'static str,
    answer: Box<Answer>,
    seen: Arc<Seen>,
    identity: Identity,
}

async fn accept(scope: Scope, listener: Listener, served: Rc<Served>) {
    while let Ok(stream) = listener.accept().await {
        served.seen.connections.fetch_add(1, Ordering::Relaxed);
        let task = connection(scope.clone(), stream, Rc::clone(&served));
        if scope.spawn("connection", task).is_err() {
            return;
        }
    }
}

async fn connection(scope: Scope, stream: Stream, served: Rc<Served>) {
    let key = served.identity.keypair();
    let upgraded = upgrade(AsyncStream::new(stream), Role::Listener, key, &StackOptions::default()).await;
    let Ok((_, driver, dialer)) = upgraded else { return };
    served.seen.dialers.lock().unwrap().push(dialer);
    let inbound = |stream| {
        served.seen.streams.fetch_add(1, Ordering::Relaxed);
        let _ = scope.spawn("stream", answer(stream, Rc::clone(&served)));
    };
    // How a connection ends is the client's affair.
    let _ = driver.run(inbound).await;
}

async fn answer(stream: InboundStream, served: Rc<Served>) {
    let Ok((mut stream, _)) = stream.negotiate(&[served.protocol]).await else { return };
    if served.protocol == TASK_QUEUE_PROTOCOL {
        return answer_line(stream, &served).await;
    }
    while let Some(message) = hear(&mut stream).await {
        served.seen.messages.lock().unwrap().push(message.clone());
        for said in (served.answer)(&message) {
            let Some(said) = said else { return drop(stream.close().await) };
            let frame = said.to_string().into_bytes();
            let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
            bytes.extend(frame);
            if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }
}

/// One line in, one line out.
async fn answer_line(mut stream: PeerStream, served: &Served) {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" {
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        line.push(byte[0]);
    }
    let Ok(message) = serde_json::from_slice(&line) else { return };
    let said = (served.answer)(&message);
    served.seen.messages.lock().unwrap().push(message);
    for said in said.into_iter().flatten() {
        let _ = stream.write_all(format!("{said}\n").as_bytes()).await;
    }
    let _ = stream.close().await;
}

async fn hear(stream: &mut PeerStream) -> Option<Value> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).await.ok()?;
    serde_json::from_slice(&frame).ok()
}
