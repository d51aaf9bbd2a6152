//! The task queue's tools as HTTP requests of 2026-07-28, and what their answers must have.

use std::io;
use std::net::SocketAddr;

use crate::key::find;

/// The requests of one connection.
pub(super) struct Requests {
    target: SocketAddr,
    pub(super) submit: Vec<u8>,
    pub(super) claim: Vec<u8>,
    pub(super) payload: String,
}

impl Requests {
    pub(super) fn new(target: SocketAddr, index: u32, payload_bytes: usize) -> Requests {
        let payload = format!("{{\"data\":\"{}\"}}", "x".repeat(payload_bytes));
        let submit = format!("{{\"task_type\":\"load\",\"model_name\":\"m\",\"payload\":{payload}}}");
        let claim = format!(
            "{{\"worker_id\":\"worker-{index}\",\"supported_task_types\":[\"load\"],\"peer_id\":\"load\"}}"
        );
        Requests {
            target,
            submit: call(target, "p2p_taskqueue_submit", &submit),
            claim: call(target, "p2p_taskqueue_claim_next", &claim),
            payload,
        }
    }

    pub(super) fn complete(&self, id: &str, token: u64) -> Vec<u8> {
        let arguments = format!("{{\"task_id\":\"{id}\",\"fencing_token\":{token},\"result\":{{\"n\":1}}}}");
        call(self.target, "p2p_taskqueue_complete_task", &arguments)
    }
}

fn call(target: SocketAddr, tool: &str, arguments: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {target}\r\nContent-Type: application/json\r\nAccept: application/json, \
         text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: \
         {tool}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The length of the first answer, once it is there as a whole.
pub(super) fn whole(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(head) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(bytes).map_err(io::Error::other)?;
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    match (response.code, length) {
        (Some(200), Some(length)) => {
            let end = head + 4 + length;
            Ok((bytes.len() >= end).then_some(end))
        }
        (code, _) => Err(wrong(&format!("status {code:?}"), bytes)),
    }
}

/// The task that a submit answers with.
pub(super) fn task_id(answer: &[u8]) -> io::Result<String> {
    let id = after(answer, b"\"structuredContent\":").and_then(|rest| after(rest, b"\"task_id\":\""));
    let id = id.and_then(|rest| rest.get(..32)).and_then(|id| std::str::from_utf8(id).ok());
    id.map(str::to_owned).ok_or_else(|| wrong("no task_id", answer))
}

/// The task that a claim answers with, and its token.
pub(super) fn claimed(answer: &[u8]) -> io::Result<(String, u64)> {
    let id = task_id(answer)?;
    let token = after(answer, b"\"structuredContent\":").and_then(|rest| after(rest, b"\"fencing_token\":"));
    let digits = token.map(|rest| rest.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default());
    let token = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    token.map(|token| (id, token)).ok_or_else(|| wrong("no fencing_token", answer))
}

/// Whether a completion answers for this task.
pub(super) fn check(answer: &[u8], id: &str) -> io::Result<()> {
    let named = task_id(answer)?;
    match named == id && find(answer, b"\"status\":\"completed\"").is_some() {
        true => Ok(()),
        false => Err(wrong("the task is not completed", answer)),
    }
}

fn after<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    find(bytes, mark).map(|at| &bytes[at + mark.len()..])
}

fn wrong(what: &str, answer: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(600)]);
    io::Error::other(format!("{what}: {shown}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;

    #[test]
    fn answers_are_found_and_checked() {
        let id = "a".repeat(32);
        let body = format!(
            "{{\"result\":{{\"structuredContent\":{{\"ok\":true,\"task\":{{\"task_id\":\"{id}\",\"fencing_token\":77}},\"status\":\"completed\"}}}}}}"
        );
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(whole(answer.as_bytes()).unwrap(), Some(answer.len()));
        assert_eq!(whole(&answer.as_bytes()[..answer.len() - 1]).unwrap(), None);
        assert_eq!(claimed(answer.as_bytes()).unwrap(), (id.clone(), 77));
        assert!(check(answer.as_bytes(), &id).is_ok() && check(answer.as_bytes(), &"b".repeat(32)).is_err());
        assert!(whole(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(task_id(b"{\"error\":1}").is_err());
    }
}
