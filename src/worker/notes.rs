//! What a command says while it runs, kept within bounds until the server has heard it.

use std::collections::VecDeque;

use serde_json::{Map, Value};

/// Lines of a task's log that wait for the next heartbeat; past them, the oldest goes.
const MAX_LINES: usize = 200;
/// Bytes of those lines.
const MAX_LOG_BYTES: usize = 64 << 10;
/// Bytes of one line; the rest of it is cut.
pub(super) const MAX_LINE_BYTES: usize = 4 << 10;
/// Bytes of a task's progress as JSON.
pub(super) const MAX_PROGRESS_BYTES: usize = 16 << 10;

/// Progress and log lines that have not been told yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notes {
    progress: Map<String, Value>,
    logs: VecDeque<String>,
    log_bytes: usize,
    left_out: u64,
}

impl Notes {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.progress.is_empty() && self.logs.is_empty() && self.left_out == 0
    }

    /// About how many bytes they take in a message.
    pub fn bytes(&self) -> usize {
        let progress = if self.progress.is_empty() { 0 } else { MAX_PROGRESS_BYTES };
        self.log_bytes + progress
    }

    /// Takes progress: each member replaces the earlier one of its name. When all of it would be too long, only what
    /// came last is kept.
    pub fn progress(&mut self, told: Map<String, Value>) {
        self.progress.extend(told.clone());
        let bytes = serde_json::to_string(&self.progress).map_or(usize::MAX, |text| text.len());
        if bytes > MAX_PROGRESS_BYTES {
            self.progress = told;
        }
    }

    /// Takes a line of the log.
    pub fn log(&mut self, line: impl Into<String>) {
        let mut line = line.into();
        if line.len() > MAX_LINE_BYTES {
            let end = (0..=MAX_LINE_BYTES).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(end);
        }
        self.log_bytes += line.len();
        self.logs.push_back(line);
        while self.logs.len() > MAX_LINES || self.log_bytes > MAX_LOG_BYTES {
            let Some(oldest) = self.logs.pop_front() else { break };
            self.log_bytes -= oldest.len();
            self.left_out += 1;
        }
    }

    /// Takes what came after this.
    pub fn append(&mut self, later: Notes) {
        if !later.progress.is_empty() {
            self.progress(later.progress);
        }
        self.left_out += later.left_out;
        later.logs.into_iter().for_each(|line| self.log(line));
    }

    /// The progress, if there is any.
    pub fn told_progress(&self) -> Option<&Map<String, Value>> {
        (!self.progress.is_empty()).then_some(&self.progress)
    }

    /// The lines; the first says how many had to go.
    pub fn told_logs(&self) -> Vec<String> {
        let gap = (self.left_out > 0).then(|| format!("[{} earlier lines were left out]", self.left_out));
        gap.into_iter().chain(self.logs.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn the_newest_lines_are_kept_and_the_gap_is_named() {
        let mut notes = Notes::default();
        (0..MAX_LINES + 5).for_each(|at| notes.log(at.to_string()));
        let logs = notes.told_logs();
        assert_eq!(logs.len(), MAX_LINES + 1);
        assert_eq!((logs[0].as_str(), logs[1].as_str()), ("[5 earlier lines were left out]", "5"));
        notes.log("ü".repeat(MAX_LINE_BYTES));
        assert!(notes.told_logs().last().is_some_and(|line| line.len() == MAX_LINE_BYTES));
        (0..100).for_each(|_| notes.log("x".repeat(MAX_LINE_BYTES)));
        assert!(notes.log_bytes <= MAX_LOG_BYTES);
    }

    #[test]
    fn progress_is_merged_and_bounded() {
        let mut notes = Notes::default();
        notes.progress(object(json!({ "a": 1, "b": 1 })));
        notes.progress(object(json!({ "b": 2 })));
        assert_eq!(notes.told_progress(), Some(&object(json!({ "a": 1, "b": 2 }))));
        notes.progress(object(json!({ "c": "x".repeat(MAX_PROGRESS_BYTES - 10) })));
        assert_eq!(notes.told_progress().map(Map::len), Some(1));
    }

    #[test]
    fn what_came_later_is_appended() {
        let (mut first, mut later) = (Notes::default(), Notes::default());
        first.log("1");
        later.log("2");
        later.progress(object(json!({ "a": 1 })));
        first.append(later);
        assert_eq!((first.told_logs(), first.is_empty()), (vec!["1".to_owned(), "2".to_owned()], false));
    }
}
