//! With and without a terminal: questions of the server, and progress.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringmesh::mcp::LogLevel;
use ringmesh::{CallError, Context, Registry};
use serde_json::{Value, json};

use super::common::tools::{Nothing, registry};
use super::common::{TestServer, config};
use super::server::Server;
use super::{Ended, PATIENCE, command, ended, fake, ringmesh, succeeded};

/// A new terminal: the side of the person, and the side of the command.
fn terminal() -> (File, OwnedFd) {
    let (mut person, mut program) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: the call writes two descriptors; the null pointers ask for no name and the usual settings.
    let opened = unsafe { libc::openpty(&mut person, &mut program, null, null.cast(), null.cast()) };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both descriptors are fresh and owned by nobody else.
    unsafe { (File::from_raw_fd(person), OwnedFd::from_raw_fd(program)) }
}

/// Runs the command on a terminal: waits for each text and then types the answer. Returns what was to be seen there.
fn talk(arguments: &[&str], answers: &[(&str, &str)]) -> (Ended, String) {
    let (mut person, program) = terminal();
    let stderr = Stdio::from(program.try_clone().unwrap());
    let child = command(arguments).stdin(Stdio::from(program)).stderr(stderr).spawn().unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let (mut screen, shown) = (person.try_clone().unwrap(), Arc::clone(&seen));
    let watcher = std::thread::spawn(move || {
        let mut chunk = [0; 1024];
        // The end of the last program that has the terminal is an error here.
        while let Ok(length @ 1..) = screen.read(&mut chunk) {
            shown.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
    });
    let mut from = 0;
    for (expected, answer) in answers {
        let late = Instant::now() + PATIENCE;
        from = loop {
            let text = seen.lock().unwrap().clone();
            if let Some(at) = text[from..].find(expected) {
                break from + at + expected.len();
            }
            assert!(Instant::now() < late, "{expected:?} was never shown: {text}");
            std::thread::sleep(Duration::from_millis(5));
        };
        person.write_all(answer.as_bytes()).unwrap();
    }
    let ended = ended(child);
    watcher.join().unwrap();
    let text = seen.lock().unwrap().clone();
    (ended, text)
}

/// A tool that asks for this, and returns what it was answered.
fn asking(params: Value) -> Server {
    fake::serve(move |asked| match (asked.method.as_str(), asked.params.get("inputResponses")) {
        ("tools/call", None) => Some(json!({ "resultType": "input_required", "requestState": "opaque",
            "inputRequests": { "q": { "method": "elicitation/create", "params": params } } })),
        ("tools/call", Some(answers)) => {
            assert_eq!(asked.params["requestState"], "opaque");
            Some(json!({ "content": [{ "type": "text", "text": answers["q"].to_string() }] }))
        }
        ("tools/list", _) => Some(json!({ "tools": [] })),
        _ => None,
    })
}

fn form() -> Value {
    json!({ "mode": "form", "message": "Who are \u{1b}[2Jyou?", "requestedSchema": { "type": "object",
        "properties": {
            "age": { "type": "integer", "minimum": 1, "title": "Your age" },
            "colour": { "type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"], "default": "r" },
            "name": { "type": "string" },
            "news": { "type": "boolean" } },
        "required": ["age", "name"] } })
}

#[test]
fn without_a_terminal_a_question_is_declined_and_said() {
    let server = asking(form());
    let ended = ringmesh(&["call", &server.addr.to_string(), "t"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "{\"action\":\"decline\"}\n"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("declined, because there is no terminal"), "{}", ended.stderr);
    assert!(ended.stderr.contains("Who are") && !ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
}

#[test]
fn on_a_terminal_a_form_is_asked_field_by_field() {
    let server = asking(form());
    let answers = [
        ("[Y]es, [n]o, [c]ancel: ", "\n"),
        ("Your age (whole number): ", ""),
        ("> ", "zero\n"),
        ("it must be a whole number", ""),
        ("> ", "30\n"),
        ("name (text)", ""),
        ("> ", "Ring\n"),
        ("2) Green", ""),
        ("> ", "\n"),
        ("news (yes or no, optional)", ""),
        ("> ", "\n"),
    ];
    let answers = answers.map(|(shown, typed)| (shown.trim_end_matches(": ").trim_end(), typed));
    let (ended, seen) = talk(&["call", &server.addr.to_string(), "t"], &answers);
    assert_eq!(ended.code, Some(0), "{seen}");
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    let content = json!({ "age": 30, "colour": "r", "name": "Ring" });
    assert_eq!(answer, json!({ "action": "accept", "content": content }));
    assert!(seen.contains("The server asks: Who are \\u{1b}[2Jyou?"), "{seen}");
}

#[test]
fn a_question_can_be_declined_and_cancelled() {
    for (typed, action) in
        [("n\n", "decline"), ("c\n", "cancel"), ("what\nno\n", "decline"), ("\u{4}", "cancel")]
    {
        let server = asking(form());
        let (ended, seen) = talk(&["call", &server.addr.to_string(), "t"], &[("[c]ancel:", typed)]);
        let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(answer["action"], action, "{seen}");
    }
}

#[test]
fn a_page_is_shown_whole_and_opened_by_nobody_but_the_user() {
    let url = "https://example.org/consent?id=1";
    let server =
        asking(json!({ "mode": "url", "message": "Please agree", "url": url, "elicitationId": "e" }));
    let (ended, seen) = talk(&["call", &server.addr.to_string(), "t"], &[(url, ""), ("[c]ancel:", "y\n")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "{\"action\":\"accept\"}\n"), "{seen}");
}

#[test]
fn progress_is_shown_on_a_terminal_alone_and_taken_away_again() {
    let (registry, _) = registry();
    let server = TestServer::with_tools(config(), registry);
    let target = server.addr.to_string();
    let quiet = succeeded(&["call", &target, "events", "count=3", "bytes=10"]);
    let (ended, seen) = talk(&["call", &target, "events", "count=3", "bytes=10"], &[]);
    assert_eq!((ended.code, &ended.stdout), (Some(0), &quiet), "{seen}");
    assert!(seen.ends_with("\r\u{1b}[2K") && seen.len() > 10, "{seen:?}");
}

#[test]
fn an_interrupt_ends_a_question() {
    let server = asking(form());
    let (person, program) = terminal();
    let stderr = Stdio::from(program.try_clone().unwrap());
    let target = server.addr.to_string();
    let child = command(&["call", &target, "t"]).stdin(Stdio::from(program)).stderr(stderr).spawn().unwrap();
    let mut screen = person.try_clone().unwrap();
    let mut seen = String::new();
    while !seen.contains("[c]ancel:") {
        let mut chunk = [0; 256];
        let length = screen.read(&mut chunk).unwrap();
        seen.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    // SAFETY: the child is ours and has not been waited for, so its id is still its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    assert_eq!(ended(child).code, Some(130));
    drop(person);
}

#[test]
fn roots_and_the_log_are_there_where_they_were_asked_for() {
    let server = fake::serve(|asked| match (asked.method.as_str(), asked.params.get("inputResponses")) {
        ("tools/call", None) => Some(json!({ "resultType": "input_required",
            "inputRequests": { "r": { "method": "roots/list" } } })),
        ("tools/call", Some(answers)) => {
            Some(json!({ "content": [{ "type": "text", "text": answers["r"]["roots"][0]["uri"] }] }))
        }
        _ => None,
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    let target = server.addr.to_string();
    let shown = succeeded(&["call", &target, "t", "--roots", path.to_str().unwrap()]);
    assert_eq!(shown, format!("file://{}\n", path.display()));
    let talks = |_: Nothing, context: Context| async move {
        context.log(LogLevel::Info, None, "not wanted").await;
        context.log(LogLevel::Warning, Some("db"), "slow\u{1b}").await;
        Ok::<_, CallError>("done")
    };
    let server = TestServer::with_tools(config(), Registry::new().tool("talks", "Logs", talks));
    let target = server.addr.to_string();
    for revision in ["2026-07-28", "2025-11-25"] {
        let flags = ["--log-level", "warning", "--protocol-version", revision];
        let logged = ringmesh(&[&["call", &target, "talks"], &flags[..]].concat());
        assert_eq!((logged.code, logged.stdout.as_str()), (Some(0), "done\n"), "{}", logged.stderr);
        assert_eq!(logged.stderr, "[warning db] slow\\u{1b}\n");
    }
    assert_eq!(succeeded(&["call", &target, "talks"]), "done\n", "nobody asked for the log");
}
