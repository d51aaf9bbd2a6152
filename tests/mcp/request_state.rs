//! `requestState`: what it keeps, whom it serves, for how long, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringmesh::mcp::{
    CacheScope, CallError, Context, Elicitation, McpOptions, Offload, OffloadFull, Prompt, Question,
    Registry, RequestStateKeys, Resource, ResourceTemplate, Tool,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::asking_modern::{ALL, asked, call, name_is};
use super::support::{Got, Server, modern};

#[derive(Deserialize, JsonSchema)]
struct Order {
    #[allow(dead_code, reason = "it only tells one order from another")]
    item: Option<String>,
    #[serde(default)]
    bytes: usize,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Name {
    name: String,
}

fn ask() -> Elicitation {
    Elicitation::typed::<Name>("?")
}

/// Orders once, then wants two answers, one after the other.
fn orders(effects: &Arc<AtomicUsize>) -> impl Fn(Order, Context) -> OrderFuture + Send + Sync + 'static {
    let effects = effects.clone();
    move |order: Order, context: Context| {
        let effects = effects.clone();
        Box::pin(async move {
            let number = context
                .once("order", || async {
                    let number = effects.fetch_add(1, Ordering::SeqCst) + 1;
                    Ok::<_, CallError>(format!("{number}{}", "x".repeat(order.bytes)))
                })
                .await?;
            let first = context.elicit("first", ask()).await?;
            let second = context.elicit("second", ask()).await?;
            let word = |answer: &ringmesh::mcp::Elicited| answer.content.clone().unwrap()["name"].clone();
            Ok(format!("order {} for {} and {}", number.trim_end_matches('x'), word(&first), word(&second)))
        })
    }
}

type OrderFuture = std::pin::Pin<Box<dyn Future<Output = Result<String, CallError>>>>;

fn shop(effects: &Arc<AtomicUsize>) -> Registry {
    Registry::new()
        .with(Tool::new("order", "", orders(effects)))
        .with(Tool::new("other", "", orders(effects)))
        .with(Tool::new("redeem", "", orders(effects)).single_use())
}

fn server() -> Server {
    Server::new(shop(&Arc::default()))
}

fn retry(server: &Server, tool: &str, state: &str, responses: Value) -> Got {
    call(server, tool, json!({"requestState": state, "inputResponses": responses}))
}

fn refused(got: &Got) {
    assert_eq!(
        (got.status, got.code(), got.error()),
        (400, -32602, Some("invalid_request_state")),
        "{}",
        got.text
    );
    assert_eq!(got.message(), "Invalid params: params.requestState is not valid for this request");
}

#[test]
fn what_is_in_once_happens_once_over_all_rounds() {
    let effects = Arc::default();
    let server = Server::new(shop(&effects));
    let (state, keys) = asked(&call(&server, "order", json!({})));
    assert_eq!(keys, ["first"]);
    let (state, keys) = asked(&retry(&server, "order", &state, json!({"first": name_is("Ada")})));
    assert_eq!(keys, ["second"]);
    let got = retry(&server, "order", &state, json!({"second": name_is("Eve")}));
    assert_eq!(got.content(), "order 1 for \"Ada\" and \"Eve\"");
    assert_eq!(effects.load(Ordering::SeqCst), 1);
    // A replay within its life runs again, from where its state is.
    let got = retry(&server, "order", &state, json!({"second": name_is("Bob")}));
    assert_eq!(got.content(), "order 1 for \"Ada\" and \"Bob\"");
    assert_eq!(effects.load(Ordering::SeqCst), 1);
    // A new call is a new order.
    asked(&call(&server, "order", json!({})));
    assert_eq!(effects.load(Ordering::SeqCst), 2);
}

#[test]
fn a_state_says_nothing_to_its_client() {
    let server = server();
    let (state, _) = asked(&call(&server, "order", json!({})));
    let (again, _) = asked(&call(&server, "order", json!({})));
    assert!(state.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert_ne!(state, again);
    let (longer, _) =
        asked(&retry(&server, "order", &state, json!({"first": name_is("a name nobody may read")})));
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &longer).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("nobody"));
}

#[test]
fn whatever_is_altered_is_refused() {
    let server = server();
    let (state, _) = asked(&call(&server, "order", json!({})));
    let answer = json!({"first": name_is("Ada")});
    for at in 0..state.len() {
        let mut altered = state.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        refused(&retry(&server, "order", &String::from_utf8(altered).unwrap(), answer.clone()));
        refused(&retry(&server, "order", &state[..at], answer.clone()));
    }
    for altered in [format!("{state}-TAMPERED"), format!("{state}="), format!(" {state}"), "x".repeat(20_000)]
    {
        refused(&retry(&server, "order", &altered, answer.clone()));
    }
    asked(&retry(&server, "order", &state, answer));
}

#[test]
fn a_state_serves_only_the_request_and_the_principal_it_was_made_for() {
    let server = server();
    let arguments = json!({"item": "book", "bytes": 1});
    let (state, _) = asked(&call(&server, "order", json!({"arguments": arguments})));
    let with = |arguments: Value| {
        call(&server, "order", json!({"arguments": arguments, "requestState": state, "inputResponses": {}}))
    };
    asked(&with(json!({"bytes": 1, "item": "\u{62}ook"})));
    for arguments in
        [json!({"item": "car", "bytes": 1}), json!({"item": "book", "bytes": 2}), json!({}), json!(null)]
    {
        refused(&with(arguments));
    }
    let stolen = json!({"arguments": arguments, "requestState": state, "inputResponses": {}});
    refused(&call(&server, "other", stolen.clone()));
    let mut params = stolen;
    params["name"] = "order".into();
    params["_meta"] =
        json!({"io.modelcontextprotocol/clientCapabilities": serde_json::from_str::<Value>(ALL).unwrap()});
    let (mut headers, body) = modern("tools/call", params);
    headers.principal = Some("mallory".into());
    refused(&server.post(&headers, body.to_string()));
    headers.principal = None;
    asked(&server.post(&headers, body.to_string()));
}

#[test]
fn keys_are_shared_and_rotated() {
    let with = |keys: Option<&RequestStateKeys>| {
        let options = McpOptions { request_state_keys: keys.cloned(), ..McpOptions::default() };
        Server::with(shop(&Arc::default()), options)
    };
    let first = RequestStateKeys::random().unwrap();
    let (second, answer) = (first.rotated().unwrap(), json!({"first": name_is("Ada")}));
    let (state, _) = asked(&call(&with(Some(&first)), "order", json!({})));
    asked(&retry(&with(Some(&first)), "order", &state, answer.clone()));
    let (newer, _) = asked(&retry(&with(Some(&second)), "order", &state, answer.clone()));
    let third = with(Some(&second.rotated().unwrap()));
    refused(&retry(&third, "order", &state, answer.clone()));
    asked(&retry(&third, "order", &newer, json!({})));
    refused(&retry(&with(None), "order", &state, answer.clone()));
    let (own, _) = asked(&call(&with(None), "order", json!({})));
    refused(&retry(&with(None), "order", &own, answer));
}

static NOW_MS: AtomicU64 = AtomicU64::new(1_700_000_000_000);

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(NOW_MS.load(Ordering::SeqCst))
}

#[test]
fn a_state_expires_and_each_round_gives_a_new_one() {
    let mut options = McpOptions { clock, ..McpOptions::default() };
    options.limits.request_state_ttl_ms = 1_000;
    let server = Server::with(shop(&Arc::default()), options);
    let (state, _) = asked(&call(&server, "order", json!({})));
    NOW_MS.fetch_add(999, Ordering::SeqCst);
    let (newer, _) = asked(&retry(&server, "order", &state, json!({"first": name_is("Ada")})));
    NOW_MS.fetch_add(1, Ordering::SeqCst);
    let got = retry(&server, "order", &state, json!({"first": name_is("Ada")}));
    assert_eq!((got.status, got.code()), (400, -32602));
    assert!(got.message().contains("expired"), "{}", got.text);
    assert!(retry(&server, "order", &newer, json!({"second": name_is("Eve")})).content().contains("order 1"));
}

#[test]
fn a_state_has_at_most_16_kib_and_more_is_an_error_that_says_so() {
    let server = server();
    let with = |bytes: usize| call(&server, "order", json!({"arguments": {"bytes": bytes}}));
    let (mut fits, mut too_large) = (11_000, 13_000);
    while too_large - fits > 1 {
        let middle = (fits + too_large) / 2;
        if with(middle).body().get("error").is_some() { too_large = middle } else { fits = middle }
    }
    let (state, _) = asked(&with(fits));
    assert_eq!(state.len(), 16_384);
    let answer = json!({"arguments": {"bytes": fits}, "requestState": state, "inputResponses": {"first": name_is("A")}});
    let got = call(&server, "order", answer);
    assert_eq!(got.code(), -33413, "the answer no longer fits beside it");
    let got = with(too_large);
    assert_eq!((got.status, got.code(), got.error()), (413, -33413, Some("request_state_too_large")));
    assert!(
        got.message().contains("16386 bytes") && got.message().contains("max_request_state_bytes is 16384")
    );
}

#[test]
fn a_single_use_state_is_taken_once() {
    let effects = Arc::default();
    let server = Server::new(shop(&effects));
    let (one, _) = asked(&call(&server, "redeem", json!({})));
    let (two, _) = asked(&retry(&server, "redeem", &one, json!({"first": name_is("Ada")})));
    assert!(retry(&server, "redeem", &two, json!({"second": name_is("Eve")})).content().contains("order 1"));
    for state in [&one, &two] {
        let got = retry(&server, "redeem", state, json!({"first": name_is("Ada"), "second": name_is("Eve")}));
        assert_eq!((got.status, got.code()), (400, -32602));
        assert!(got.message().contains("already used"), "{}", got.text);
    }
    // Answers that no state asked for do not count.
    let early = json!({"inputResponses": {"first": name_is("Ada"), "second": name_is("Eve")}});
    let (state, keys) = asked(&call(&server, "redeem", early.clone()));
    assert_eq!(keys, ["first"]);
    let both = json!({"first": name_is("Ada"), "second": name_is("Eve")});
    assert_eq!(asked(&retry(&server, "redeem", &state, both)).1, ["second"]);
    assert!(call(&server, "order", early).content().contains("order"));
}

/// Sends a request that is not `tools/call`, as a client that can be asked everything.
fn send(server: &Server, method: &str, named: &Value, more: Value) -> Got {
    let capabilities: Value = serde_json::from_str(ALL).unwrap();
    let mut params = json!({"_meta": {"io.modelcontextprotocol/clientCapabilities": capabilities}});
    params.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (headers, body) = modern(method, params);
    server.post(&headers, body.to_string())
}

/// A prompt, a resource and a template that ask before they answer.
fn askers() -> Registry {
    async fn asks(context: Context) -> Result<&'static str, CallError> {
        context.elicit("k", ask()).await.map(|_| "answered")
    }
    let keep = (Duration::from_secs(60), CacheScope::Public);
    let (resource, template) = (Resource::new("a:1", "r", asks), |_: Value, context| asks(context));
    Registry::new()
        .prompt(Prompt::raw("p", "", [], |_, context| asks(context)).single_use())
        .resource(resource.cache(keep.0, keep.1).single_use())
        .resource_template(ResourceTemplate::new("b:{n}", "t", template).cache(keep.0, keep.1).single_use())
        .resource(Resource::text("c:1", "c", "plain").cache(keep.0, keep.1))
}

#[test]
fn prompts_and_resources_can_take_a_state_once_too() {
    let server = Server::new(askers());
    for (method, named) in [
        ("prompts/get", json!({"name": "p"})),
        ("resources/read", json!({"uri": "a:1"})),
        ("resources/read", json!({"uri": "b:1"})),
    ] {
        let (state, _) = asked(&send(&server, method, &named, json!({})));
        let retry = json!({"requestState": state, "inputResponses": {"k": name_is("Ada")}});
        let got = send(&server, method, &named, retry.clone());
        assert!(got.text.contains("answered"), "{}", got.text);
        let again = send(&server, method, &named, retry);
        assert!(again.code() == -32602 && again.message().contains("already used"), "{}", again.text);
    }
}

#[test]
fn what_a_resource_says_to_answers_is_not_to_be_kept() {
    let server = Server::new(askers());
    let hints = |got: &Got| (got.result()["ttlMs"].clone(), got.result()["cacheScope"].clone());
    let nobody = (json!(0), json!("private"));
    let (state, _) = asked(&send(&server, "resources/read", &json!({"uri": "a:1"}), json!({})));
    let retry = json!({"requestState": state, "inputResponses": {"k": name_is("Ada")}});
    assert_eq!(hints(&send(&server, "resources/read", &json!({"uri": "a:1"}), retry)), nobody);
    let plain = json!({"uri": "c:1"});
    assert_eq!(hints(&send(&server, "resources/read", &plain, json!({"inputResponses": {}}))), nobody);
    assert_eq!(hints(&send(&server, "resources/read", &plain, json!({}))), (json!(60_000), json!("public")));
}

#[test]
fn of_two_threads_with_one_state_one_wins() {
    let effects = Arc::default();
    let server = Server::new(shop(&effects));
    for _ in 0..20 {
        let (state, _) = asked(&call(&server, "redeem", json!({})));
        let (state, _) = asked(&retry(&server, "redeem", &state, json!({"first": name_is("Ada")})));
        let barrier = std::sync::Barrier::new(2);
        let wins: usize = std::thread::scope(|scope| {
            let run = || {
                let own = Server { dispatcher: server.dispatcher.clone(), now: server.now };
                barrier.wait();
                let got = retry(&own, "redeem", &state, json!({"second": name_is("Eve")}));
                usize::from(got.status == 200)
            };
            let threads = [scope.spawn(run), scope.spawn(run)];
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(wins, 1);
    }
}

#[test]
fn a_full_table_of_used_states_is_overload() {
    let server = Server::limited(shop(&Arc::default()), |limits| limits.max_single_use_states = 16);
    let states: Vec<_> = (0..17).map(|_| asked(&call(&server, "redeem", json!({}))).0).collect();
    for state in &states[..16] {
        asked(&retry(&server, "redeem", state, json!({})));
    }
    let got = retry(&server, "redeem", &states[16], json!({}));
    assert_eq!((got.status, got.error(), got.retry_after_s), (503, Some("single_use_full"), Some(1)));
    asked(&call(&server, "redeem", json!({})));
}

/// A pool that turns jobs away until it is told to take them.
#[derive(Default)]
struct Gate(std::sync::atomic::AtomicBool);

impl Offload for Gate {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadFull> {
        if !self.0.load(Ordering::SeqCst) {
            return Err(OffloadFull);
        }
        job();
        Ok(())
    }
}

#[test]
fn a_state_whose_handler_could_not_start_is_not_used_up() {
    let ask = |_: Order, context: Context| {
        let name = futures_lite::future::block_on(context.elicit("k", ask()))?;
        Ok(name.content.unwrap_or_default()["name"].to_string())
    };
    let gate = Arc::new(Gate::default());
    let options = McpOptions { offload: Some(gate.clone()), ..McpOptions::default() };
    let server = Server::with(Registry::new().with(Tool::blocking("ask", "", ask).single_use()), options);
    gate.0.store(true, Ordering::SeqCst);
    let (state, _) = asked(&call(&server, "ask", json!({})));
    gate.0.store(false, Ordering::SeqCst);
    let full = retry(&server, "ask", &state, json!({"k": name_is("Ada")}));
    assert_eq!((full.status, full.error()), (503, Some("blocking_full")));
    gate.0.store(true, Ordering::SeqCst);
    assert_eq!(retry(&server, "ask", &state, json!({"k": name_is("Ada")})).content(), "\"Ada\"");
    assert_eq!(retry(&server, "ask", &state, json!({"k": name_is("Ada")})).code(), -32602);
}

#[test]
fn the_end_of_once_on_another_thread_lets_a_question_beside_it_end_the_run() {
    let registry = Registry::new().tool("beside", "", |_: Order, context: Context| async move {
        let (begun, own) = (std::sync::mpsc::channel(), context.clone());
        std::thread::spawn(move || {
            let slow = own.once("slow", || async {
                begun.0.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(50));
                Ok::<_, CallError>(1)
            });
            futures_lite::future::block_on(slow)
        });
        begun.1.recv().unwrap();
        context.elicit("k", ask()).await?;
        Ok("asked")
    });
    asked(&call(&Server::new(registry), "beside", json!({})));
}

#[test]
fn once_is_let_to_its_end_and_asks_nothing_inside() {
    let effects = Arc::new(AtomicUsize::new(0));
    let counted = effects.clone();
    let registry = Registry::new()
        .tool("beside", "", move |_: Order, context: Context| {
            let effects = counted.clone();
            async move {
                let slow = context.once("slow", || async {
                    futures_lite::future::yield_now().await;
                    futures_lite::future::yield_now().await;
                    Ok::<_, CallError>(effects.fetch_add(1, Ordering::SeqCst))
                });
                let (number, answer) = futures_lite::future::zip(slow, context.elicit("k", ask())).await;
                answer?;
                Ok(format!("{}", number?))
            }
        })
        .tool("inside", "", |_: Order, context: Context| async move {
            let inner = context.clone();
            context.once("k", || async move { inner.roots("r").await.map(|roots| roots.len()) }).await?;
            Ok(())
        })
        .tool("failing", "", |_: Order, context: Context| async move {
            let first: Result<u8, _> = context.once("k", || async { Err(CallError::failed("no")) }).await;
            assert!(first.is_err(), "an error is not kept");
            let second = context.once("k", || async { Ok::<u8, CallError>(2) }).await?;
            Ok(second.to_string())
        })
        .tool("twice", "", |_: Order, context: Context| async move {
            context.ask_all([("k", Question::roots()), ("k", Question::roots())]).await.map(|_| ())
        });
    let server = Server::new(registry);
    let (state, _) = asked(&call(&server, "beside", json!({})));
    assert_eq!(effects.load(Ordering::SeqCst), 1, "it ended before the handler was dropped");
    assert_eq!(retry(&server, "beside", &state, json!({"k": name_is("Ada")})).content(), "0");
    assert_eq!(effects.load(Ordering::SeqCst), 1);
    assert_eq!(call(&server, "inside", json!({})).code(), -32603);
    assert_eq!(call(&server, "failing", json!({})).content(), "2");
    assert_eq!(call(&server, "twice", json!({})).code(), -32603);
}
