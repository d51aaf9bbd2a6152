//! The task queue of a server: opened before its cores start, kept by each of them, and closed after their last answer.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::FutureExt as _;

use super::core::CoreState;
use super::data_dir::{self, DataDir};
use super::error::ServerError;
use super::shared::Shared;
use crate::config::{ServerConfig, type_limit};
use crate::journal::{self, Mode, Poisoned};
use crate::observe::Phase;
use crate::runtime::{BoxError, Queue, Scope, ScopeClosed, ScopeError, ScopeOptions};
use crate::store::{JournalOptions, LocalStore, RecoveryReport, Store, StoreOptions};

/// The directory of the journal in a data directory.
pub(super) const JOURNAL_FOLDER: &str = "journal";
/// Longer than any server runs.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Opens the task queue of a server of this peer id, with so many cores, and recovers what it held.
pub(super) fn open(
    config: &ServerConfig,
    default_data_dir: bool,
    cores: usize,
    peer_id: &str,
) -> Result<Arc<Store>, ServerError> {
    let mut options = StoreOptions::from_limits(&config.limits, peer_id);
    options.queue.require_fencing = config.require_fencing;
    options.queue.ageing_ms = config.task_ageing_ms;
    let limits = config.task_type_limits.iter().filter_map(|text| type_limit(text));
    options.queue.type_limits = limits.map(|(name, count)| (name.into(), count)).collect();
    options.journal = place(config, default_data_dir)?.map(|path| journal_options(config, path, cores));
    let (store, report) = Store::open(options).map_err(ServerError::Journal)?;
    tell(&report);
    Ok(store)
}

fn journal_options(config: &ServerConfig, path: PathBuf, cores: usize) -> JournalOptions {
    let mode = match config.journal_mode.as_str() {
        "interval" => Mode::Interval(Duration::from_millis(config.journal_interval_ms)),
        "none" => Mode::None,
        _ => Mode::Always,
    };
    let settings = journal::Settings {
        mode,
        logs: u32::try_from(cores).unwrap_or(u32::MAX),
        // It only has to differ from what anybody could have put into a payload.
        salt: getrandom::u64().unwrap_or(1),
        repair: config.journal_repair,
        ..journal::Settings::from_limits(&config.limits)
    };
    JournalOptions { path, settings }
}

/// Where the journal lies; `None` where nothing is kept, which is said.
fn place(config: &ServerConfig, or_default: bool) -> Result<Option<PathBuf>, ServerError> {
    const MEANING: &str = "the task queue and the cache are gone when this process ends";
    if let Some(path) = &config.data_dir {
        DataDir::open(path)?;
        return Ok(Some(path.join(JOURNAL_FOLDER)));
    }
    if !or_default {
        tracing::info!("no data_dir is set: {MEANING}");
        return Ok(None);
    }
    let Some(path) = data_dir::default_path(|name| std::env::var_os(name)) else {
        tracing::warn!("there is no place for a data directory; set data_dir, or else {MEANING}");
        return Ok(None);
    };
    match DataDir::open(&path) {
        Ok(_) => Ok(Some(path.join(JOURNAL_FOLDER))),
        Err(error) => {
            tracing::warn!("{error}; set data_dir to a place that can be written, or else {MEANING}");
            Ok(None)
        }
    }
}

fn tell(report: &RecoveryReport) {
    let RecoveryReport { journal, tasks, workflow_tasks, took } = report;
    if journal.snapshot_records + journal.records > 0 {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(tasks, workflow_tasks, records = journal.records, took_ms, "recovered the task queue");
    }
    if journal.cut_bytes > 0 {
        let bytes = journal.cut_bytes;
        tracing::warn!(
            bytes,
            "cut what a crash had left in pieces at the end of the journal; nothing of it was acknowledged"
        );
    }
    if journal.damaged_files > 0 {
        let files = journal.damaged_files;
        tracing::error!(
            files,
            "set damaged files of the journal aside, as --repair asks; what they held is lost"
        );
    }
}

/// Serves while this core's changes are kept, and ends after the last of them.
pub(super) async fn kept(
    core: &Rc<CoreState>,
    serving: impl Future<Output = Result<(), ServerError>>,
) -> Result<(), ServerError> {
    let Some(store) = core.store.clone() else { return serving.await };
    // What was asked for before a stop is kept all the same.
    let options = ScopeOptions {
        queue: Queue::Serve,
        shield: true,
        deadline: Some(Instant::now() + NEVER),
        ..ScopeOptions::named("journal")
    };
    let (shared, index) = (core.shared.clone(), core.index);
    let ended = Scope::run(options, |scope| async move {
        let writer = store.clone();
        scope.spawn("commits", async move {
            if let Err(poisoned) = writer.run().await {
                fail(&shared, index, &poisoned);
            }
        })?;
        let served = serving.await;
        store.stop();
        Ok::<_, BoxError>(served)
    })
    .await;
    ended.unwrap_or_else(|error| {
        Err(ServerError::Startup(match error {
            ScopeError::Failed(source) => source,
            other => other.to_string().into(),
        }))
    })
}

/// The journal has failed: nothing is acknowledged any more, and the process ends.
fn fail(shared: &Shared, core: usize, poisoned: &Poisoned) {
    tracing::error!(core, "{poisoned}; the server stops, and recovers at its next start");
    shared.life.advance(Phase::Draining);
    shared.stop.stop();
}

/// How the server ended, if its journal has not failed.
pub(super) fn verdict<T>(shared: &Shared, outcome: Result<T, ServerError>) -> Result<T, ServerError> {
    let poison = shared.store.as_ref().and_then(|store| store.poison());
    match poison.and_then(|poison| poison.reason()) {
        Some(reason) => outcome.and(Err(ServerError::JournalFailed(reason.to_owned()))),
        None => outcome,
    }
}

/// Lets one core do for all what time brings about.
pub(super) fn begin(core: &Rc<CoreState>, scope: &Scope) -> Result<(), ScopeClosed> {
    let Some(store) = core.store.clone().filter(|_| core.index == 0) else { return Ok(()) };
    let (keeper, stop) = (store.clone(), scope.clone());
    scope.spawn("task upkeep", async move { keeper.keep_up().or(stop.cancelled()).await })?;
    let (keeper, stop) = (store.clone(), scope.clone());
    scope.spawn("workflow upkeep", async move { keeper.keep_workflows().or(stop.cancelled()).await })?;
    let inner = scope.clone();
    scope.spawn("task snapshots", async move { snapshots(store, inner).await })
}

/// Takes snapshots in a queue of their own, behind everything that anybody waits for.
async fn snapshots(store: LocalStore, scope: Scope) {
    let options = ScopeOptions { queue: Queue::Background, ..ScopeOptions::named("snapshots") };
    let stop = scope.clone();
    let ended = scope
        .child(options, |background| async move {
            let until = background.clone();
            background.spawn("snapshots", async move {
                store.keep_snapshots().or(until.cancelled()).await;
            })?;
            stop.cancelled().await;
            background.cancel();
            Ok::<_, BoxError>(())
        })
        .await;
    if let Err(error) = ended {
        tracing::warn!("no more snapshots of the task queue are taken: {error}");
    }
}
