//! A run's result for people.

use std::fmt::{self, Display};

use super::{Latency, RunResult, ServerUsage};
use crate::pace::{Arrivals, Pace};

/// A figure of microseconds, or a dash where there were too few samples.
fn us(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}

fn pace(pace: Pace) -> String {
    match pace {
        Pace::Closed => "closed loop".to_owned(),
        Pace::Open { rate, arrivals } => {
            let arrivals = match arrivals {
                Arrivals::Uniform => "uniform",
                Arrivals::Poisson => "Poisson",
            };
            format!("open loop, {rate:.0} operations/s, {arrivals}")
        }
    }
}

impl RunResult {
    fn write_load(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, pace) = (&self.shape, pace(self.pace));
        writeln!(f, "{} (MCP {}), mix {}, {pace}", self.target, shape.era.version(), self.mix)?;
        writeln!(
            f,
            "{} connections, {} in flight on each, {:.1} s after {:.1} s of warm-up, seed {}, answer {} B",
            self.connections,
            self.pipeline,
            shape.duration_s.as_secs_f64(),
            shape.warmup_s.as_secs_f64(),
            shape.seed,
            self.answer_bytes
        )
    }

    fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.errors {
            writeln!(f, "error       {kind}: {count}")?;
        }
        if let Some(error) = &self.first_error {
            writeln!(f, "first error {error}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note        {note}"))?;
        self.void_reasons.iter().try_for_each(|reason| writeln!(f, "VOID        {reason}"))
    }
}

impl Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_load(f)?;
        if let Some(offered) = self.offered_per_second {
            writeln!(f, "offered     {:>12}  {offered:.0}/s", (offered * self.seconds).round())?;
        }
        writeln!(f, "operations  {:>12}  {:.0}/s", self.operations, self.operations_per_second)?;
        if self.requests != self.operations {
            writeln!(f, "requests    {:>12}  {:.0}/s", self.requests, self.requests_per_second)?;
        }
        writeln!(f, "latency us  {}", self.latency_us)?;
        if self.operation_latency_us.len() > 1 {
            for (name, latency) in &self.operation_latency_us {
                writeln!(f, "            {latency}  {name}")?;
            }
        }
        if let Some(lag) = &self.lag_us {
            writeln!(f, "lag us      {lag}")?;
        }
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
        self.write_faults(f)
    }
}

impl Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, p999] = [self.p50, self.p90, self.p99, self.p999].map(us);
        write!(f, "p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {:.0}", self.max)
    }
}

impl Display for ServerUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} us CPU/request ({:.2} user, {:.2} kernel), {:.0} % of a core, {:.4} voluntary and {:.4} forced \
             switches/request, RSS {:.1} MiB",
            self.cpu_us_per_request,
            self.user_us_per_request,
            self.system_us_per_request,
            self.cpu_share * 100.0,
            self.voluntary_switches_per_request,
            self.involuntary_switches_per_request,
            self.rss_bytes as f64 / f64::from(1 << 20)
        )
    }
}
