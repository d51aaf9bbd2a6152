//! The figures of a run that are compared, apart from how they came about.

use serde::Serialize;

use super::verdict::Better;
use crate::run_result::RunResult;

/// What one run showed.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Figures {
    /// Why the run must not be used; empty when it counts.
    pub(crate) void_reasons: Vec<String>,
    /// What a reader must know of the run before using it.
    pub(crate) notes: Vec<String>,
    /// How many answers were wrong or missing.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    /// Operations a second.
    pub(crate) per_second: f64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) cpu_us: Option<f64>,
    /// Voluntary and involuntary ones per request.
    pub(crate) switches: Option<f64>,
}

/// A figure that servers are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Throughput,
    P50,
    P99,
    Cpu,
    PerCpuSecond,
    /// Shown, not judged: what a switch costs is in the CPU time already.
    Switches,
}

impl Metric {
    /// The metrics that get a verdict.
    pub(crate) const JUDGED: [Self; 5] =
        [Self::Throughput, Self::P50, Self::P99, Self::Cpu, Self::PerCpuSecond];

    /// The name, with its unit.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "operations/s",
            Self::P50 => "p50 µs",
            Self::P99 => "p99 µs",
            Self::Cpu => "server CPU µs/request",
            Self::PerCpuSecond => "requests per CPU second",
            Self::Switches => "context switches/request",
        }
    }

    /// Which way is better.
    pub(crate) fn better(self) -> Better {
        match self {
            Self::Throughput | Self::PerCpuSecond => Better::More,
            _ => Better::Less,
        }
    }

    /// The figure of a run; `None` when the run is void or too short for it.
    pub(crate) fn of(self, figures: &Figures) -> Option<f64> {
        if !figures.void_reasons.is_empty() {
            return None;
        }
        match self {
            Self::Throughput => Some(figures.per_second),
            Self::P50 => figures.p50_us,
            Self::P99 => figures.p99_us,
            Self::Cpu => figures.cpu_us,
            Self::PerCpuSecond => figures.cpu_us.filter(|us| *us > 0.0).map(|us| 1e6 / us),
            Self::Switches => figures.switches,
        }
    }
}

impl From<&RunResult> for Figures {
    fn from(run: &RunResult) -> Self {
        let server = run.server.as_ref();
        Self {
            void_reasons: run.void_reasons.clone(),
            notes: run.notes.clone(),
            errors: run.errors.values().sum(),
            first_error: run.first_error.clone(),
            per_second: run.operations_per_second,
            p50_us: run.latency_us.p50,
            p99_us: run.latency_us.p99,
            cpu_us: server.map(|server| server.cpu_us_per_request),
            switches: server.map(|server| {
                server.voluntary_switches_per_request + server.involuntary_switches_per_request
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_void_run_has_no_figures_and_cpu_seconds_are_the_inverse_of_cpu_per_request() {
        let mut figures = Figures { per_second: 10.0, cpu_us: Some(200.0), ..Figures::default() };
        assert_eq!(Metric::PerCpuSecond.of(&figures), Some(5000.0));
        assert_eq!((Metric::Throughput.of(&figures), Metric::P99.of(&figures)), (Some(10.0), None));
        figures.void_reasons.push("the generator was late".to_owned());
        assert!(Metric::JUDGED.iter().all(|metric| metric.of(&figures).is_none()));
    }
}
