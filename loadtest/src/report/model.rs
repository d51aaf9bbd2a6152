//! What a report holds: `report.json`, whose schema is `loadtest/report.schema.json`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::environment::Environment;
use crate::pace::Pace;
use crate::run_result::{Latency as Percentiles, RunResult};
use crate::series::Point;

/// The version of the form; it changes when a member changes its meaning or goes away.
const SCHEMA_VERSION: u32 = 1;
/// Longest part of a file's name that comes from a name of a user.
const MAX_NAME: usize = 40;

/// Everything that was measured, and where.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema_version: u32,
    pub(crate) title: String,
    /// The command as it can be pasted into a shell.
    pub(crate) command: String,
    pub(crate) started_unix_ms: u64,
    pub(crate) seed: u64,
    pub(crate) environment: Environment,
    pub(crate) runs: Vec<Run>,
    pub(crate) comparisons: Vec<Comparison>,
    /// What a reader must know.
    pub(crate) notes: Vec<String>,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    /// The server's name.
    pub(crate) subject: String,
    pub(crate) target: String,
    pub(crate) protocol_version: &'static str,
    pub(crate) load: Load,
    /// From 0 on.
    pub(crate) round: u32,
    pub(crate) seconds: f64,
    pub(crate) operations: u64,
    pub(crate) operations_per_second: f64,
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) errors: BTreeMap<String, u64>,
    /// Why the run must not be used; empty when it counts.
    pub(crate) void_reasons: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) latency: Latency,
    /// How late the generator was, in an open loop.
    pub(crate) lag_us: Option<Percentiles>,
    pub(crate) server: Option<Cost>,
    pub(crate) series: Vec<Point>,
    /// The latencies in nanoseconds.
    #[serde(skip)]
    pub(crate) histogram: Histogram<u64>,
}

/// What was asked of a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Load {
    pub(crate) mix: String,
    /// Which cores server and generator had, where a comparison says.
    pub(crate) layout: Option<String>,
    pub(crate) connections: u32,
    /// Requests in flight on each connection.
    pub(crate) pipeline: u32,
    /// Operations a second of an open loop; none in a closed one.
    pub(crate) offered_per_second: Option<f64>,
}

/// The latencies of operations.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    /// Where they begin: `intended_start` in an open loop, `begin` in a closed one.
    pub(crate) counted_from: &'static str,
    pub(crate) count: u64,
    #[serde(flatten)]
    pub(crate) us: Percentiles,
    /// The file with the whole histogram.
    pub(crate) file: String,
}

/// What a run cost the server's process.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    pub(crate) cpu_us_per_request: f64,
    pub(crate) cpu_us_per_operation: f64,
    /// Voluntary and forced ones.
    pub(crate) context_switches_per_request: f64,
    pub(crate) rss_bytes: u64,
}

/// Two servers under one load, by one figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub(crate) load: Load,
    /// The figure, with its unit.
    pub(crate) metric: String,
    pub(crate) left: String,
    pub(crate) right: String,
    pub(crate) left_median: Option<f64>,
    pub(crate) right_median: Option<f64>,
    /// The median of the ratios of paired rounds, left over right, and its interval.
    pub(crate) ratio_median: Option<f64>,
    pub(crate) ratio_low: Option<f64>,
    pub(crate) ratio_high: Option<f64>,
    /// Rounds in which both sides count, of all.
    pub(crate) pairs: usize,
    pub(crate) rounds: usize,
    /// `faster`, `slower`, `no_difference_shown` or `void`, of the left one.
    pub(crate) verdict: &'static str,
}

impl Report {
    /// A report without runs, of what was begun at `started`.
    pub(crate) fn new(title: &str, environment: Environment, seed: u64, started: SystemTime) -> Self {
        let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            schema_version: SCHEMA_VERSION,
            title: title.to_owned(),
            command: environment.command.clone(),
            started_unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            seed,
            environment,
            runs: Vec::new(),
            comparisons: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a run of a server; `layout` says which cores it had, where that is compared.
    pub(crate) fn add(&mut self, subject: &str, layout: Option<&str>, round: u32, result: &RunResult) {
        let number = self.runs.len() + 1;
        let name: String = subject.chars().filter(char::is_ascii_alphanumeric).take(MAX_NAME).collect();
        let file = format!("{number:04}-{name}.hgrm");
        self.runs.push(Run::new(subject, layout, round, result, file));
    }
}

impl Run {
    fn new(subject: &str, layout: Option<&str>, round: u32, result: &RunResult, file: String) -> Self {
        let cost = result.server.as_ref().map(|server| Cost {
            cpu_us_per_request: server.cpu_us_per_request,
            cpu_us_per_operation: server.cpu_us_per_operation,
            context_switches_per_request: server.voluntary_switches_per_request
                + server.involuntary_switches_per_request,
            rss_bytes: server.rss_bytes,
        });
        let rate = match result.pace {
            Pace::Closed => None,
            Pace::Open { rate, .. } => Some(rate),
        };
        Self {
            subject: subject.to_owned(),
            target: result.target.clone(),
            protocol_version: result.shape.era.version(),
            load: Load {
                mix: result.mix.clone(),
                layout: layout.map(str::to_owned),
                connections: result.connections,
                pipeline: result.pipeline,
                offered_per_second: rate,
            },
            round,
            seconds: result.seconds,
            operations: result.operations,
            operations_per_second: result.operations_per_second,
            requests: result.requests,
            requests_per_second: result.requests_per_second,
            errors: result.errors.clone(),
            void_reasons: result.void_reasons.clone(),
            notes: result.notes.clone(),
            latency: Latency {
                counted_from: if rate.is_some() { "intended_start" } else { "begin" },
                count: result.histogram.len(),
                us: result.latency_us.clone(),
                file,
            },
            lag_us: result.lag_us.clone(),
            server: cost,
            series: result.series.clone(),
            histogram: result.histogram.clone(),
        }
    }

    /// Whether the run counts.
    pub(crate) fn counts(&self) -> bool {
        self.void_reasons.is_empty()
    }
}

impl Load {
    /// The load in words.
    pub(crate) fn words(&self) -> String {
        let mut words = self.mix.clone();
        match self.offered_per_second {
            Some(rate) => words.push_str(&format!(", open loop at {rate:.0}/s")),
            None => words.push_str(", closed loop"),
        }
        let plural = if self.connections == 1 { "" } else { "s" };
        words.push_str(&format!(", {} connection{plural}", self.connections));
        if self.pipeline > 1 {
            words.push_str(&format!(" × {}", self.pipeline));
        }
        if let Some(layout) = &self.layout {
            words.push_str(&format!(", {layout}"));
        }
        words
    }
}
