//! The client over a scripted transport: what it sends, and what it makes of what comes back.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

#[path = "../runtime_support/mod.rs"]
mod runtime_support;
mod script;

mod bounds;
mod cancelling;
mod eras;
mod listening;
mod lists;
mod questions;
mod retries;
mod rounds;
mod sessions;
mod streams;

use std::rc::Rc;

use ringmesh::client::{Client, ClientError, ClientOptions};
use ringmesh::runtime::{Scope, ScopeOptions};
use script::Script;

/// Options whose pauses are short.
fn options() -> ClientOptions {
    let mut options = ClientOptions::new("test", "1.0.0");
    options.retries.base = std::time::Duration::from_millis(1);
    options
}

/// Runs a test with a scope on an executor.
fn run<Fut>(test: impl FnOnce(Scope) -> Fut + Send + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    runtime_support::on_executor(move || async move {
        let body = |scope| async move {
            test(scope).await;
            Ok::<(), ClientError>(())
        };
        Scope::run(ScopeOptions::named("test"), body).await.unwrap();
    });
}

async fn connect(scope: &Scope, script: &Rc<Script>, options: ClientOptions) -> Client {
    Client::connect_over(scope, script.clone(), options).await.unwrap()
}
