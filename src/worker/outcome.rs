//! What a command's end means for its task.

use serde_json::{Map, Value, json};

/// The exit code with which a command says "not now": `EX_TEMPFAIL` of `sysexits.h`.
const TEMPORARY: i32 = 75;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that this worker did not send.
    Signal(i32),
    /// It could not be started, for this reason.
    NotStarted(String),
    /// It ran longer than it may, and was killed.
    TimedOut,
    /// It was killed because it was to stop.
    Killed,
}

/// What a command wrote to standard output: its beginning, when it wrote more than is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The bytes that were kept.
    pub bytes: Vec<u8>,
    /// How many there were.
    pub total: u64,
}

/// What the server is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is done, with this result.
    Completed(Map<String, Value>),
    /// The work is not done.
    Failed {
        /// Why, for people.
        error: String,
        /// Whether another attempt may help.
        retryable: bool,
        /// What is known besides.
        result: Map<String, Value>,
    },
}

impl Output {
    fn is_cut(&self) -> bool {
        self.total > self.bytes.len() as u64
    }

    /// The result: standard output where that is one JSON object, else an object with its text.
    fn result(&self) -> Map<String, Value> {
        let whole = (!self.is_cut()).then(|| serde_json::from_slice(&self.bytes));
        if let Some(Ok(Value::Object(object))) = whole {
            return object;
        }
        let mut result = Map::new();
        result.insert("stdout".to_owned(), String::from_utf8_lossy(&self.bytes).into());
        if self.is_cut() {
            result.insert("truncated".to_owned(), true.into());
            result.insert("stdout_bytes".to_owned(), self.total.into());
        }
        result
    }
}

impl Outcome {
    /// A failure without a result.
    pub fn failed(error: impl Into<String>, retryable: bool) -> Outcome {
        Outcome::Failed { error: error.into(), retryable, result: Map::new() }
    }

    /// What an end means. Only the codes that speak of the machine (`machine_codes`) or the moment ask for another attempt: a
    /// command that says no to a task would say no to it again.
    pub fn of(exit: &Exit, output: &Output, machine_codes: &[i32]) -> Outcome {
        let with_output = |error: String, retryable: bool, facts: Value| {
            let mut result = if output.total > 0 { output.result() } else { Map::new() };
            result.extend(facts.as_object().cloned().unwrap_or_default());
            Outcome::Failed { error, retryable, result }
        };
        match exit {
            Exit::Code(0) => Outcome::Completed(output.result()),
            Exit::Code(code) => {
                let is_machine = machine_codes.contains(code);
                let retryable = *code == TEMPORARY || is_machine;
                let what = match *code {
                    TEMPORARY => " (try again later)",
                    125 if is_machine => " (docker itself failed)",
                    126 => " (the command cannot be run)",
                    127 => " (there is no such command)",
                    _ => "",
                };
                let error = format!("the command ended with exit code {code}{what}");
                with_output(error, retryable, json!({ "exit_code": code }))
            }
            Exit::Signal(signal) => {
                let error = format!("the command was ended by signal {signal}");
                with_output(error, true, json!({ "signal": signal }))
            }
            Exit::NotStarted(why) => {
                Outcome::failed(format!("the command could not be started: {why}"), true)
            }
            Exit::TimedOut => {
                let error = "the command took longer than this worker allows, and was ended".to_owned();
                with_output(error, true, json!({ "timed_out": true }))
            }
            Exit::Killed => Outcome::failed("the worker stopped before the command had ended", true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        Output { bytes: text.into(), total: text.len() as u64 }
    }

    fn retryable(exit: &Exit) -> bool {
        matches!(Outcome::of(exit, &Output::default(), &[126, 127]), Outcome::Failed { retryable: true, .. })
    }

    #[test]
    fn one_json_object_is_the_result_and_anything_else_is_text() {
        let result = |text| match Outcome::of(&Exit::Code(0), &output(text), &[]) {
            Outcome::Completed(result) => Value::Object(result),
            other => panic!("{other:?}"),
        };
        assert_eq!(result(" {\"a\":1}\n"), json!({ "a": 1 }));
        assert_eq!(result("[1]"), json!({ "stdout": "[1]" }));
        assert_eq!(result("{} {}"), json!({ "stdout": "{} {}" }));
        assert_eq!(result(""), json!({ "stdout": "" }));
    }

    #[test]
    fn cut_output_is_never_taken_for_a_result_and_says_so() {
        let cut = Output { bytes: b"{}".to_vec(), total: 9 };
        let Outcome::Completed(result) = Outcome::of(&Exit::Code(0), &cut, &[]) else {
            panic!("it completed")
        };
        assert_eq!(Value::Object(result), json!({ "stdout": "{}", "truncated": true, "stdout_bytes": 9 }));
    }

    #[test]
    fn only_what_speaks_of_the_moment_or_the_machine_is_tried_again() {
        for code in [75, 126, 127] {
            assert!(retryable(&Exit::Code(code)), "{code}");
        }
        for code in [1, 2, 64, 125, 255] {
            assert!(!retryable(&Exit::Code(code)), "{code}");
        }
        for exit in [Exit::Signal(9), Exit::TimedOut, Exit::Killed, Exit::NotStarted("x".into())] {
            assert!(retryable(&exit), "{exit:?}");
        }
    }

    #[test]
    fn a_failure_keeps_what_was_written() {
        let failed = Outcome::of(&Exit::Code(3), &output("half"), &[]);
        let Outcome::Failed { error, result, .. } = failed else { panic!("it failed") };
        assert!(error.contains("exit code 3"), "{error}");
        assert_eq!(Value::Object(result), json!({ "stdout": "half", "exit_code": 3 }));
    }
}
