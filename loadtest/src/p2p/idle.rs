//! Connections that say nothing, each of a peer of its own, and what one costs.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ringmesh::p2p::stack::Handle;
use ringmesh::runtime::{self, BoxError, Scope, ScopeOptions};
use serde::Serialize;

use super::connection::dial;
use super::{Both, Report};
use crate::options::P2pArgs;

/// Handshakes at once.
const DIALLING: usize = 16;
/// How long all of them may take.
const OPEN_TIME: Duration = Duration::from_secs(120);
/// Time for both sides to come to rest.
const REST: Duration = Duration::from_secs(3);

/// What idle connections cost.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Idle {
    connections: usize,
    seconds_to_open: f64,
    server_bytes_each: f64,
    client_bytes_each: f64,
    server_cpu_us_each: f64,
    /// Share of a core that the server needs to keep them.
    server_idle_cpu: f64,
    /// How many were still there at the end.
    left: usize,
}

pub(super) async fn run(args: &P2pArgs) -> Result<Report, String> {
    let options = ScopeOptions { grace: Duration::ZERO, ..ScopeOptions::named("idle") };
    let args = args.clone();
    let outcome = Scope::run(options, |scope| async move {
        let scope = Rc::new(scope);
        let found = measure(&args, &scope).await;
        scope.cancel();
        found
    });
    let idle = outcome.await.map_err(|error| format!("the generator itself failed: {error}"))?;
    let errors = (idle.connections - idle.left) as u64;
    let first_error = (errors > 0).then(|| format!("{errors} connections were lost"));
    Ok(Report { errors, first_error, idle: Some(idle), ..Report::default() })
}

async fn measure(args: &P2pArgs, scope: &Rc<Scope>) -> Result<Idle, BoxError> {
    let connections = args.connections as usize;
    let handles = Rc::new(RefCell::new(Vec::with_capacity(connections)));
    // The first one may bring tables along that the others share.
    let handle = dial(&args.target, scope).await?;
    handles.borrow_mut().push(handle);
    runtime::sleep(REST).await;
    let before = Both::now(args)?;
    let begun = Instant::now();
    let wanted = connections - 1;
    for index in 0..DIALLING {
        let mine = wanted / DIALLING + usize::from(index < wanted % DIALLING);
        let (args, scope, handles) = (args.clone(), Rc::clone(scope), Rc::clone(&handles));
        Rc::clone(&scope).spawn("dial", async move {
            for _ in 0..mine {
                // One that cannot be opened is missed in the count.
                if let Ok(handle) = dial(&args.target, &scope).await {
                    handles.borrow_mut().push(handle);
                }
            }
        })?;
    }
    while handles.borrow().len() <= wanted && begun.elapsed() < OPEN_TIME {
        runtime::sleep(Duration::from_millis(10)).await;
    }
    let seconds_to_open = begun.elapsed().as_secs_f64();
    let opened = Both::now(args)?;
    runtime::sleep(REST).await;
    let after = Both::now(args)?;
    let grown = |after: u64, before: u64| after.saturating_sub(before) as f64 / wanted.max(1) as f64;
    let server = |pick: fn(&Both) -> &Option<crate::procfs::Sample>| {
        let (after, opened, before) =
            (pick(&after).as_ref()?, pick(&opened).as_ref()?, pick(&before).as_ref()?);
        let cpu = opened.since(before).cpu_seconds() * 1e6 / wanted.max(1) as f64;
        Some((grown(after.rss_bytes, before.rss_bytes), cpu, after.since(opened).cpu_share()))
    };
    let (server_bytes_each, server_cpu_us_each, server_idle_cpu) =
        server(|both| &both.server).unwrap_or_default();
    let left = handles.borrow().iter().filter(|handle: &&Handle| !handle.is_closed()).count();
    Ok(Idle {
        connections,
        seconds_to_open,
        server_bytes_each,
        client_bytes_each: grown(after.own.rss_bytes, before.own.rss_bytes),
        server_cpu_us_each,
        server_idle_cpu,
        left,
    })
}
