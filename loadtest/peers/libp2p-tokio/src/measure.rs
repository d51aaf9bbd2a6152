//! What a run counts, and the CPU time of both sides.

use std::error::Error;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The clock tick of Linux on every platform that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The counts of a run.
pub struct Counts {
    latency_ns: Histogram<u64>,
    pub measuring: bool,
    /// Wrong answers and broken streams; the first one in words.
    pub errors: u64,
    pub first_error: Option<String>,
    /// Streams that the other side dropped without an answer; their requests were made again.
    pub dropped: u64,
}

impl Counts {
    pub fn new() -> Self {
        let latency_ns = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid");
        Self { latency_ns, measuring: false, errors: 0, first_error: None, dropped: 0 }
    }

    pub fn right(&mut self, started: Instant) {
        if self.measuring {
            self.latency_ns.saturating_record(started.elapsed().as_nanos() as u64);
        }
    }

    pub fn wrong(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }
}

/// User and kernel time of a process in seconds.
fn cpu_seconds(pid: &str) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / TICKS_PER_SECOND)
}

/// Both processes at the start of the measured time.
pub struct Start {
    at: Instant,
    server_pid: String,
    own: f64,
    server: f64,
}

impl Start {
    pub fn now(server_pid: &str) -> Self {
        let server = cpu_seconds(server_pid).unwrap_or_default();
        Self {
            at: Instant::now(),
            server_pid: server_pid.to_owned(),
            own: cpu_seconds("self").unwrap_or_default(),
            server,
        }
    }

    pub fn after(&self, time: Duration) -> bool {
        self.at.elapsed() >= time
    }

    /// One JSON object with what was seen since.
    pub fn report(&self, counts: &Counts, sizes: [usize; 2]) -> Result<String, Box<dyn Error>> {
        let seconds = self.at.elapsed().as_secs_f64();
        let requests = counts.latency_ns.len();
        let each = |cpu: f64| cpu * 1e6 / requests.max(1) as f64;
        let us = |percentile| counts.latency_ns.value_at_percentile(percentile) as f64 / 1e3;
        let report = serde_json::json!({
            "requests": requests,
            "requests_per_s": requests as f64 / seconds,
            "p50_us": us(50.0),
            "p99_us": us(99.0),
            "client_cpu_us": each(cpu_seconds("self").unwrap_or_default() - self.own),
            "server_cpu_us": each(cpu_seconds(&self.server_pid).unwrap_or_default() - self.server),
            "errors": counts.errors,
            "first_error": counts.first_error,
            "dropped": counts.dropped,
            "request_bytes": sizes[0],
            "answer_bytes": sizes[1],
        });
        Ok(report.to_string())
    }
}
