//! The recorded exchanges of the line protocol.

use base64::Engine as _;
use serde_json::Value;

use ringmesh::p2p::TASK_QUEUE_PROTOCOL;

/// One exchange.
pub(crate) struct Recording {
    /// The file without its extension.
    pub(crate) file: &'static str,
    /// The case, with its number where the file has several of one name.
    pub(crate) case: String,
    /// What was written, in the pieces in which it arrives.
    pub(crate) reads: Vec<Vec<u8>>,
    /// The answer's line; empty where none came, `None` where it is too long to have been kept.
    pub(crate) answer: Option<String>,
}

impl Recording {
    /// The request.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.reads.concat()).unwrap_or_default()
    }

    /// What the request asks for; also found where the text as a whole cannot be read.
    fn op(&self) -> String {
        let text = String::from_utf8_lossy(&self.reads.concat()).into_owned();
        let written = || text.split("\"op\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let read = self.json()["op"].as_str().map(str::to_owned);
        read.or_else(|| written().map(str::to_owned)).unwrap_or_default().trim().to_lowercase()
    }

    /// Whether the request asks something of the queue or the cache.
    pub(crate) fn is_of_the_queue(&self) -> bool {
        let op = self.op();
        let word = op.split(['.', '_']).next().unwrap_or_default();
        let queue =
            ["submit", "claim", "complete", "release", "cancel", "list", "get", "wait", "cache", "tasks"];
        queue.contains(&word)
            || ["queue.list", "task.complete", "task.release", "task.cancel"].contains(&&*op)
    }
}

/// What comes before the request where the whole stream was recorded.
fn preamble() -> String {
    format!("\u{13}/multistream/1.0.0\n {TASK_QUEUE_PROTOCOL}\n")
}

/// The exchanges of one file, those of other protocols left out.
pub(crate) fn read(file: &'static str) -> Vec<Recording> {
    let path = format!("{}/tests/vectors/task-queue/{file}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ours = |row: &Value| {
        row.get("info").is_none() && row.get("proto").is_none_or(|proto| proto == TASK_QUEUE_PROTOCOL)
    };
    let numbered = file.ends_with("call_tool");
    let rows = rows.filter(ours).enumerate();
    rows.map(|(index, row)| recording(file, &row, numbered.then_some(index))).collect()
}

fn recording(file: &'static str, row: &Value, index: Option<usize>) -> Recording {
    let case = row.get("case").or_else(|| row.get("check")).unwrap().as_str().unwrap();
    let case = index.map_or_else(|| case.to_owned(), |index| format!("{case} {index}"));
    let mut request = match (&row["request"], row["request_b64"].as_str(), row["request_desc"].as_str()) {
        (Value::Null, Some(base64), _) => base64::engine::general_purpose::STANDARD.decode(base64).unwrap(),
        (Value::Null, None, Some(description)) => described(&case, description),
        (request, ..) => whole(request).into_bytes(),
    };
    if index.is_some() {
        // Those files have the requests without their newlines.
        request.push(b'\n');
    }
    let pieces = match &*case {
        "frame/byte_by_byte" => 1,
        // What was written later finds nobody who reads.
        "frame/second_request_later" => request.iter().position(|byte| *byte == b'\n').unwrap() + 1,
        _ => 64 << 10,
    };
    let mut reads: Vec<_> = request.chunks(pieces).map(<[u8]>::to_vec).collect();
    if case == "frame/second_request_later" {
        reads.truncate(1);
    }
    let answer = row.get("answer").filter(|answer| answer.is_string()).map(whole);
    Recording { file, case, reads, answer }
}

/// A recorded text without what came before it; the middle of a long one was left out, all of it `x`.
fn whole(recorded: &Value) -> String {
    let text = match recorded {
        Value::String(text) => text.clone(),
        long => {
            let [head, tail] = ["head", "tail"].map(|part| long[part].as_str().unwrap());
            let length = long["len"].as_u64().unwrap() as usize;
            let middle = "x".repeat(length.saturating_sub(head.len() + tail.len()));
            format!("{head}{middle}{tail}")
        }
    };
    text.strip_prefix(&preamble()).unwrap_or(&text).to_owned()
}

/// A request that was too long to be recorded.
fn described(case: &str, description: &str) -> Vec<u8> {
    let number = |nth: usize| -> usize {
        let numbers = description.split(|character: char| !character.is_ascii_digit());
        numbers.filter(|digits| !digits.is_empty()).nth(nth).unwrap().parse().unwrap()
    };
    if case.starts_with("frame/deep_nesting") {
        let depth = number(0);
        return format!("{{\"op\":\"status\",\"x\":{}{}}}\n", "[".repeat(depth), "]".repeat(depth))
            .into_bytes();
    }
    if case == "frame/2MiB_no_newline" {
        return vec![b'a'; 2 << 20];
    }
    let mut line = br#"{"op":"status","pad":""#.to_vec();
    line.resize(number(0) - 3, b'x');
    line.extend_from_slice(b"\"}\n");
    line
}
