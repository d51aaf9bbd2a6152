//! The report of one run: what was asked for, what came of it, and whether it counts.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

use crate::options::Shape;
use crate::procfs::{ThreadUsage, Usage};
use crate::run::Job;
use crate::stats::Stats;

/// Share of a core above which the generator, and not the server, may have set the pace.
const GENERATOR_BUSY_SHARE: f64 = 0.95;

/// The figures of one run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunResult {
    /// Whether the figures must not be used: an answer was wrong or missing.
    pub(crate) void: bool,
    /// What a reader must know before using the figures.
    pub(crate) notes: Vec<String>,
    pub(crate) target: String,
    pub(crate) connections: u32,
    pub(crate) shape: Shape,
    pub(crate) raw: bool,
    pub(crate) request_bytes: usize,
    pub(crate) answer_bytes: usize,
    /// Right answers within the measured time.
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    /// Errors of the whole run, warm-up included, by kind.
    pub(crate) errors: BTreeMap<&'static str, u64>,
    pub(crate) first_error: Option<String>,
    pub(crate) latency_us: Latency,
    pub(crate) server: Option<ServerUsage>,
    pub(crate) generator: GeneratorUsage,
}

/// Closed-loop latency: from writing the request to having its answer checked.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
    pub(crate) max: f64,
}

/// What the server's process used.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerUsage {
    /// User and kernel time per right answer, in microseconds.
    pub(crate) cpu_us_per_request: f64,
    pub(crate) user_us_per_request: f64,
    pub(crate) system_us_per_request: f64,
    /// CPU time as a share of one core.
    pub(crate) cpu_share: f64,
    pub(crate) voluntary_switches_per_request: f64,
    pub(crate) rss_bytes: u64,
    pub(crate) threads: Vec<ThreadUsage>,
}

/// What the generator used itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GeneratorUsage {
    pub(crate) threads: usize,
    /// CPU time of the busiest thread as a share of one core.
    pub(crate) busiest_share: f64,
    /// Answers that needed the slow check.
    pub(crate) slow_checks: u64,
}

impl RunResult {
    /// Puts the counts and samples of a run together.
    pub(crate) fn new(
        job: &Job,
        stats: &Stats,
        measured: Duration,
        own: Option<&Usage>,
        server: Option<(Usage, u64)>,
    ) -> Self {
        let requests = stats.requests();
        let threads = own.map_or(&[][..], |usage| &usage.threads);
        let busiest_share = threads.iter().map(|thread| thread.cpu_share).fold(0.0, f64::max);
        let mut report = Self {
            void: requests == 0 || !stats.errors().is_empty(),
            notes: Vec::new(),
            target: format!("http://{}{}", job.target.authority, job.target.path),
            connections: job.connections,
            shape: job.shape.clone(),
            raw: job.raw,
            request_bytes: job.request_bytes(),
            answer_bytes: stats.answer_bytes,
            requests,
            requests_per_second: requests as f64 / measured.as_secs_f64(),
            errors: stats.errors().iter().map(|(kind, count)| (kind.name(), *count)).collect(),
            first_error: stats.first_fault().map(|fault| fault.detail.clone()),
            latency_us: Latency::new(stats),
            server: server.map(|(usage, rss)| ServerUsage::new(usage, rss, requests)),
            generator: GeneratorUsage {
                threads: job.shape.cpu.as_ref().map_or(1, |list| list.0.len()),
                busiest_share,
                slow_checks: stats.slow_checks,
            },
        };
        report.add_notes(job);
        report
    }

    fn add_notes(&mut self, job: &Job) {
        if self.requests == 0 {
            self.notes.push("VOID: no answer was counted".to_owned());
        }
        if !self.errors.is_empty() {
            self.notes.push("VOID: there were errors".to_owned());
        }
        if self.generator.busiest_share > GENERATOR_BUSY_SHARE {
            self.notes.push(
                "the generator used its whole core: the server may be faster than this throughput says"
                    .to_owned(),
            );
        }
        if job.server_pid.is_some() && self.server.is_none() {
            self.void = true;
            self.notes.push("VOID: the server's process could not be read at both ends".to_owned());
        }
    }
}

impl Latency {
    fn new(stats: &Stats) -> Self {
        let [p50, p90, p99, p999] = [50.0, 90.0, 99.0, 99.9].map(|at| stats.percentile_us(at));
        Self { p50, p90, p99, p999, max: stats.max_us() }
    }
}

impl ServerUsage {
    fn new(usage: Usage, rss_bytes: u64, requests: u64) -> Self {
        let per_request = |value: f64| value / requests.max(1) as f64;
        Self {
            cpu_us_per_request: per_request(usage.cpu_seconds() * 1e6),
            user_us_per_request: per_request(usage.user_seconds * 1e6),
            system_us_per_request: per_request(usage.system_seconds * 1e6),
            cpu_share: usage.cpu_share(),
            voluntary_switches_per_request: per_request(usage.voluntary_switches as f64),
            rss_bytes,
            threads: usage.threads,
        }
    }
}

/// A figure of microseconds, or a dash where there were too few samples.
fn us(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}

impl RunResult {
    fn write_load(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = &self.shape;
        writeln!(f, "{} (MCP {}), closed loop", self.target, shape.era.version())?;
        writeln!(
            f,
            "{} connections, {} in flight on each, {:.1} s after {:.1} s of warm-up, request {} B, answer {} B",
            self.connections,
            shape.pipeline,
            shape.duration_s.as_secs_f64(),
            shape.warmup_s.as_secs_f64(),
            self.request_bytes,
            self.answer_bytes
        )
    }
}

impl Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_load(f)?;
        writeln!(f, "requests    {:>12}  {:.0}/s", self.requests, self.requests_per_second)?;
        let latency = &self.latency_us;
        let [p50, p90, p99, p999] = [latency.p50, latency.p90, latency.p99, latency.p999].map(us);
        writeln!(f, "latency us  p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {:.0}", latency.max)?;
        if let Some(server) = &self.server {
            writeln!(f, "server      {server}")?;
        }
        let generator = &self.generator;
        let busiest = generator.busiest_share * 100.0;
        writeln!(
            f,
            "generator   {} thread(s), busiest {busiest:.0} % of a core, {} slow checks",
            generator.threads, generator.slow_checks
        )?;
        for (kind, count) in &self.errors {
            writeln!(f, "error       {kind}: {count}")?;
        }
        if let Some(error) = &self.first_error {
            writeln!(f, "first error {error}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note        {note}"))
    }
}

impl Display for ServerUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} us CPU/request ({:.2} user, {:.2} kernel), {:.0} % of a core, {:.4} voluntary switches/request, \
             RSS {:.1} MiB",
            self.cpu_us_per_request,
            self.user_us_per_request,
            self.system_us_per_request,
            self.cpu_share * 100.0,
            self.voluntary_switches_per_request,
            self.rss_bytes as f64 / f64::from(1 << 20)
        )
    }
}
