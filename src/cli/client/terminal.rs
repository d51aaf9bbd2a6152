//! The terminal of whoever runs the command: progress, the server's log, and questions. Everything goes to standard
//! error; standard output is the result's alone.

use std::cell::Cell;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use event_listener::{Event, IntoNotification as _};

use super::text::line;
use crate::client::{LogMessage, Progress};
use crate::runtime::BlockingPool;

/// Progress is shown at most this often.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);
/// Characters of a line of progress.
const MAX_PROGRESS: usize = 70;
/// Bytes of one answer.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// Who sits there, if anybody.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Standard error is a terminal: progress can be shown.
    shows: bool,
    /// Standard input is one as well: questions can be asked.
    asks: bool,
    /// When a line of progress was shown last, while it stands there.
    progress: Cell<Option<Instant>>,
    asking: Cell<bool>,
    asked: Event,
}

impl Terminal {
    /// The process's terminal.
    pub(super) fn of_process() -> Terminal {
        let shows = io::stderr().is_terminal();
        let asks = shows && io::stdin().is_terminal();
        Terminal { shows, asks, progress: Cell::new(None), asking: Cell::new(false), asked: Event::new() }
    }

    /// Whether progress is worth asking for.
    pub(super) fn shows(&self) -> bool {
        self.shows
    }

    /// Whether somebody can be asked.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// Shows how far it is, over what was shown before.
    pub(super) fn progress(&self, progress: &Progress) {
        let recent = self.progress.get().is_some_and(|at| at.elapsed() < PROGRESS_PAUSE);
        if !self.shows || recent || self.asking.get() {
            return;
        }
        self.progress.set(Some(Instant::now()));
        write(&format!("\r\u{1b}[2K{}", progress_line(progress)));
    }

    /// Takes the line of progress away.
    pub(super) fn clear(&self) {
        if self.progress.take().is_some() {
            write("\r\u{1b}[2K");
        }
    }

    /// A line for people.
    pub(super) fn say(&self, text: &str) {
        self.clear();
        write(&format!("{text}\n"));
    }

    /// A line of the server's log.
    pub(super) fn log(&self, message: &LogMessage) {
        let level = message.level.map_or("log", |level| level.as_str());
        let logger = message.logger.as_deref().map(|name| format!(" {}", line(name))).unwrap_or_default();
        let data = message.data.as_str().map_or_else(|| message.data.to_string(), str::to_owned);
        self.say(&format!("[{level}{logger}] {}", line(&data)));
    }

    /// Takes the terminal for a question; one question is asked at a time.
    pub(super) async fn turn(&self) -> Turn<'_> {
        while self.asking.get() {
            let next = self.asked.listen();
            if self.asking.get() {
                next.await;
            }
        }
        self.asking.set(true);
        self.clear();
        Turn { terminal: self }
    }
}

/// The terminal, while a question is asked.
pub(super) struct Turn<'a> {
    terminal: &'a Terminal,
}

impl Turn<'_> {
    pub(super) fn say(&self, text: &str) {
        self.terminal.say(text);
    }

    /// Asks and waits for a line; `None` is the end of the input. The executor goes on meanwhile.
    pub(super) async fn answer(&self, prompt: &str) -> Option<String> {
        // One thread that may wait for ever for somebody who has gone; it ends with the process.
        static READER: OnceLock<BlockingPool> = OnceLock::new();
        write(prompt);
        let job = READER.get_or_init(|| BlockingPool::unpinned(1, 1)).submit(read_line).ok()?;
        job.await.ok().flatten()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.terminal.asking.set(false);
        self.terminal.asked.notify(1.additional());
    }
}

fn read_line() -> Option<String> {
    let mut answer = String::new();
    let read = io::stdin().lock().take(MAX_ANSWER_BYTES).read_line(&mut answer).ok()?;
    (read > 0).then(|| answer.trim_end_matches(['\n', '\r']).to_owned())
}

fn write(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn progress_line(progress: &Progress) -> String {
    let far = match progress.total {
        Some(total) if total > 0.0 => {
            format!("{:3.0} %", (progress.progress / total * 100.0).clamp(0.0, 100.0))
        }
        _ => progress.progress.to_string(),
    };
    let message = progress.message.as_deref().map(line).unwrap_or_default();
    format!("{far} {message}").trim_end().chars().take(MAX_PROGRESS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn progress_is_one_short_line() {
        let shown = |progress, total, message: &str| {
            progress_line(&Progress {
                token: Value::Null,
                progress,
                total,
                message: Some(message.to_owned()),
            })
        };
        assert_eq!(shown(1.0, Some(4.0), "half\nway\u{1b}"), " 25 % half way\\u{1b}");
        assert_eq!(shown(7.0, None, ""), "7");
        assert_eq!(shown(9.0, Some(3.0), ""), "100 %");
        assert!(shown(1.0, None, &"x".repeat(500)).len() <= MAX_PROGRESS);
    }
}
