//! Prometheus' text format: families with their help and type, samples with escaped labels.

use std::fmt::{Display, Write as _};

use super::histogram::{BOUNDS_NS, Total};

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
}

/// One label: its name and its value as it is, not escaped.
pub(super) type Label<'a> = (&'static str, &'a str);

/// Writes families one after the other.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    family: &'static str,
}

impl Exposition {
    /// Starts a family; the samples that follow belong to it.
    pub(super) fn family(&mut self, name: &'static str, kind: Type, help: &str) {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        self.family = name;
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A family with one sample and no labels.
    pub(super) fn single(&mut self, name: &'static str, kind: Type, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    pub(super) fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.line("", labels, value);
    }

    /// All samples of one histogram: cumulative buckets in seconds, sum and count.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], total: &Total) {
        let mut cumulative = 0;
        for (index, count) in total.buckets.iter().enumerate() {
            cumulative += count;
            let bound = BOUNDS_NS.get(index).map_or_else(|| "+Inf".to_owned(), |ns| seconds(*ns).to_string());
            let mut with_bound = labels.to_vec();
            with_bound.push(("le", &bound));
            self.line("_bucket", &with_bound, cumulative);
        }
        self.line("_sum", labels, seconds(total.sum_ns));
        self.line("_count", labels, cumulative);
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], value: impl Display) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"", if index == 0 { '{' } else { ',' });
            self.escaped(value);
            self.text.push('"');
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    fn escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// Nanoseconds as the seconds that Prometheus counts in.
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
