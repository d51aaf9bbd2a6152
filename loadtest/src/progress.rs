//! The line on a terminal that shows how a run goes on.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use crate::run::Job;

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(250);

/// A line on standard error, where that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    name: String,
    shown: bool,
}

impl Progress {
    /// The line of a run.
    pub(crate) fn new(job: &Job) -> Self {
        Self { name: job.mix.name.clone(), shown: stderr().is_terminal() }
    }

    /// Waits for so long, and says meanwhile how many operations ended.
    pub(crate) fn wait(&self, time: Duration, doing: &str, completed: impl Fn() -> u64) {
        let begun = Instant::now();
        while self.shown && begun.elapsed() < time {
            let elapsed = begun.elapsed();
            let line = line(&self.name, doing, (elapsed, time), completed());
            // A terminal that is gone costs the line, not the run.
            let _ = write!(stderr(), "\r\x1b[K{line}").and_then(|()| stderr().flush());
            std::thread::sleep(EVERY.min(time.saturating_sub(elapsed)));
        }
        std::thread::sleep(time.saturating_sub(begun.elapsed()));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[K").and_then(|()| stderr().flush());
        }
    }
}

fn line(name: &str, doing: &str, (elapsed, time): (Duration, Duration), completed: u64) -> String {
    let (elapsed, time) = (elapsed.as_secs_f64(), time.as_secs_f64());
    let mut line = format!("{name}  {doing} {elapsed:.1} of {time:.1} s");
    if completed > 0 && elapsed > 0.0 {
        line.push_str(&format!("  {:.0} operations/s", completed as f64 / elapsed));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_done_how_long_and_how_fast() {
        let times = (Duration::from_millis(500), Duration::from_secs(10));
        assert_eq!(line("echo", "warm-up", times, 0), "echo  warm-up 0.5 of 10.0 s");
        assert_eq!(line("echo", "measuring", times, 700), "echo  measuring 0.5 of 10.0 s  1400 operations/s");
    }
}
