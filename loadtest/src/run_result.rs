//! What one run found: what was asked for, what came of it, and whether it counts.

mod show;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::mix::Script;
use crate::options::Shape;
use crate::pace::Pace;
use crate::procfs::{ThreadUsage, Usage};
use crate::run::Job;
use crate::series::Point;
use crate::stats::{Stats, percentile_us};

/// Share of a core above which the generator, and not the server, may have set the pace.
const GENERATOR_BUSY_SHARE: f64 = 0.95;
/// Share of the offered operations that must have ended for a rate to count as kept up with.
const KEPT_UP_SHARE: f64 = 0.97;

/// The figures of one run. An operation is one or several requests, as the mix says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunResult {
    /// Whether the figures must not be used.
    pub(crate) void: bool,
    pub(crate) void_reasons: Vec<String>,
    /// What a reader must know before using the figures.
    pub(crate) notes: Vec<String>,
    pub(crate) target: String,
    pub(crate) mix: String,
    pub(crate) pace: Pace,
    pub(crate) connections: u32,
    pub(crate) pipeline: u32,
    pub(crate) shape: Shape,
    pub(crate) raw: bool,
    pub(crate) answer_bytes: usize,
    /// The length of the measured time.
    pub(crate) seconds: f64,
    /// Operations a second that were asked for, in an open loop.
    pub(crate) offered_per_second: Option<f64>,
    /// Operations that ended within the measured time.
    pub(crate) operations: u64,
    pub(crate) operations_per_second: f64,
    /// Right answers within the measured time.
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    /// Operations of an open loop that no connection was free for before the end; their latency counts up to then.
    pub(crate) not_begun: u64,
    /// Errors of the whole run, warm-up included, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) first_error: Option<String>,
    /// Of operations: from the intended start in an open loop, from the begin in a closed one, to the last answer.
    pub(crate) latency_us: Latency,
    pub(crate) operation_latency_us: BTreeMap<String, Latency>,
    /// How much later than they could operations began, in an open loop.
    pub(crate) lag_us: Option<Latency>,
    pub(crate) server: Option<ServerUsage>,
    pub(crate) generator: GeneratorUsage,
    pub(crate) series: Vec<Point>,
    /// The latencies in nanoseconds.
    #[serde(skip)]
    pub(crate) histogram: Histogram<u64>,
    /// By how much one operation in a hundred was late by the generator's doing, in milliseconds.
    #[serde(skip)]
    late_ms: f64,
}

/// Percentiles in microseconds; those with fewer than ten samples above them are left out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
    pub(crate) max: f64,
    pub(crate) mean: f64,
}

/// What the server's process used.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerUsage {
    /// User and kernel time per right answer, in microseconds.
    pub(crate) cpu_us_per_request: f64,
    pub(crate) user_us_per_request: f64,
    pub(crate) system_us_per_request: f64,
    /// The same per operation.
    pub(crate) cpu_us_per_operation: f64,
    /// CPU time as a share of one core.
    pub(crate) cpu_share: f64,
    pub(crate) voluntary_switches_per_request: f64,
    pub(crate) involuntary_switches_per_request: f64,
    pub(crate) rss_bytes: u64,
    pub(crate) threads: Vec<ThreadUsage>,
}

/// What the generator used itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GeneratorUsage {
    pub(crate) threads: usize,
    /// Time on a core, or waiting for one, of the busiest thread as a share of one core.
    pub(crate) busiest_share: f64,
    /// Answers that needed the slow check.
    pub(crate) slow_checks: u64,
}

impl RunResult {
    /// Puts the counts and samples of a run together.
    pub(crate) fn new(
        job: &Job,
        script: &Script,
        stats: &Stats,
        measured: Duration,
        own: Option<&Usage>,
        server: Option<(Usage, u64)>,
    ) -> Self {
        let seconds = measured.as_secs_f64();
        let histogram = stats.all_latencies();
        let open_loop = job.pace != Pace::Closed;
        let by_operation = script.operations.iter().zip(&stats.latency_ns);
        let mut result = Self {
            void: false,
            void_reasons: Vec::new(),
            notes: Vec::new(),
            target: job.endpoint.to_string(),
            mix: job.mix.name.clone(),
            pace: job.pace,
            connections: job.connections,
            pipeline: job.pipeline(),
            shape: job.shape.clone(),
            raw: job.raw,
            answer_bytes: stats.answer_bytes,
            seconds,
            offered_per_second: open_loop.then(|| stats.offered as f64 / seconds),
            operations: stats.completed,
            operations_per_second: stats.completed as f64 / seconds,
            requests: stats.answers,
            requests_per_second: stats.answers as f64 / seconds,
            not_begun: stats.not_begun,
            errors: stats.errors().iter().map(|(kind, count)| (kind.name().to_owned(), *count)).collect(),
            first_error: stats.first_fault().map(|fault| fault.detail.clone()),
            latency_us: Latency::new(&histogram),
            operation_latency_us: by_operation
                .map(|(operation, histogram)| (operation.name.clone(), Latency::new(histogram)))
                .collect(),
            lag_us: open_loop.then(|| Latency::new(&stats.lag_ns)),
            server: server.map(|(usage, rss)| ServerUsage::new(usage, rss, stats)),
            generator: GeneratorUsage::new(job, own, stats),
            series: stats.series.points(measured),
            histogram,
            late_ms: stats.lag_ns.value_at_percentile(99.0) as f64 / 1e6,
        };
        result.judge(job);
        result
    }

    /// Whether an open loop's server kept up with the rate. What it had in flight at the end is no arrear.
    pub(crate) fn kept_up(&self) -> bool {
        let Some(offered) = self.offered_per_second else { return true };
        let in_flight = f64::from(self.connections) * f64::from(self.pipeline);
        let done = self.operations as f64 + in_flight;
        self.not_begun == 0 && done >= KEPT_UP_SHARE * offered * self.seconds
    }

    /// Whether an open loop's server kept up, with a 99th percentile under so many milliseconds, and the figures count.
    pub(crate) fn holds(&self, p99_under_ms: f64) -> bool {
        // Too few samples make a percentile unfit to be published, not to be decided by.
        let p99_ms = self.histogram.value_at_percentile(99.0) as f64 / 1e6;
        !self.void && self.kept_up() && p99_ms < p99_under_ms
    }

    /// Whether the generator was too slow for the rate of an open loop.
    pub(crate) fn is_late(&self) -> bool {
        self.lag_us.is_some() && !self.lateness(self.shape.max_lag_ms).is_empty()
    }

    fn judge(&mut self, job: &Job) {
        let mut reasons = Vec::new();
        if self.operations == 0 {
            reasons.push("no operation ended within the measured time".to_owned());
        }
        if !self.errors.is_empty() {
            reasons.push("there were errors".to_owned());
        }
        if job.server_pid.is_some() && self.server.is_none() {
            reasons.push("the server's process could not be read at both ends".to_owned());
        }
        let busy = self.generator.busiest_share;
        match &self.lag_us {
            Some(_) => reasons.extend(self.lateness(job.shape.max_lag_ms)),
            None if busy > GENERATOR_BUSY_SHARE => self.notes.push(
                "the generator used its whole core: the server may be faster than this throughput says"
                    .to_owned(),
            ),
            None => {}
        }
        if !self.kept_up() {
            let (done, offered) = (self.operations_per_second, self.offered_per_second.unwrap_or_default());
            self.notes.push(format!("not kept up with: {done:.0} of {offered:.0} operations/s were done"));
        }
        if self.not_begun > 0 {
            let count = self.not_begun;
            self.notes.push(format!("{count} operations found no free connection before the end"));
        }
        self.void = !reasons.is_empty();
        self.void_reasons = reasons;
    }

    /// Why the generator, and not the server, made the latencies of an open loop.
    fn lateness(&self, max_lag_ms: f64) -> Vec<String> {
        let mut reasons = Vec::new();
        let lag_ms = self.late_ms;
        if lag_ms > max_lag_ms {
            reasons.push(format!(
                "the generator was late: it began one operation in a hundred {lag_ms:.1} ms or more after it could \
                 have; --max-lag-ms allows {max_lag_ms}"
            ));
        }
        let busy = self.generator.busiest_share;
        if busy > GENERATOR_BUSY_SHARE {
            reasons.push(format!(
                "the generator was busy, or waiting for its core, {:.0} % of the time: give it more cores (--cpu) or a \
                 lower rate",
                busy * 100.0
            ));
        }
        reasons
    }
}

impl Latency {
    fn new(histogram: &Histogram<u64>) -> Self {
        let [p50, p90, p99, p999] = [50.0, 90.0, 99.0, 99.9].map(|at| percentile_us(histogram, at));
        let (max, mean) = (histogram.max() as f64 / 1e3, histogram.mean() / 1e3);
        Self { p50, p90, p99, p999, max, mean }
    }
}

impl ServerUsage {
    fn new(usage: Usage, rss_bytes: u64, stats: &Stats) -> Self {
        let per_request = |value: f64| value / stats.answers.max(1) as f64;
        Self {
            cpu_us_per_request: per_request(usage.cpu_seconds() * 1e6),
            user_us_per_request: per_request(usage.user_seconds * 1e6),
            system_us_per_request: per_request(usage.system_seconds * 1e6),
            cpu_us_per_operation: usage.cpu_seconds() * 1e6 / stats.completed.max(1) as f64,
            cpu_share: usage.cpu_share(),
            voluntary_switches_per_request: per_request(usage.voluntary_switches as f64),
            involuntary_switches_per_request: per_request(usage.involuntary_switches as f64),
            rss_bytes,
            threads: usage.threads,
        }
    }
}

impl GeneratorUsage {
    fn new(job: &Job, own: Option<&Usage>, stats: &Stats) -> Self {
        let threads = own.map_or(&[][..], |usage| &usage.threads);
        let shares = threads.iter().map(|thread| thread.cpu_share + thread.queued_share);
        Self {
            threads: job.shape.cpu.as_ref().map_or(1, |list| list.0.len()),
            busiest_share: shares.fold(0.0, f64::max),
            slow_checks: stats.slow_checks,
        }
    }
}
