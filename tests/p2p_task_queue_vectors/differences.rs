//! Where this node answers otherwise than the nodes that were recorded, and why: the one list, which `docs/p2p.md` repeats.

use serde_json::{Value, json};

use crate::recordings::Recording;

/// One deliberate difference.
pub(crate) struct Difference {
    /// The cases, as the documentation names them.
    pub(crate) what: &'static str,
    /// What the recorded nodes do.
    pub(crate) theirs: &'static str,
    /// What this node does.
    pub(crate) ours: &'static str,
    /// Why.
    pub(crate) why: &'static str,
    /// The recordings it applies to: file name, and case; a `*` at the end stands for any rest.
    pub(crate) applies: &'static [(&'static str, &'static str)],
    /// Makes the recorded answer the one that is expected now.
    pub(crate) rule: Rule,
}

/// How an expected answer comes from a recorded one.
pub(crate) enum Rule {
    /// It is this error.
    Error(&'static str),
    /// These members are gone, or may hold another value of the same type. Members are named by JSON pointers.
    Members { gone: &'static [&'static str], other: &'static [&'static str] },
    /// It may be anything: they do not know the operation, or it depends on who holds the task.
    Served,
    /// Nothing in the comparison: it holds for every answer, which the test takes care of.
    Everywhere,
}

const BOTH: &str = "*";
const FEBRUARY: &str = "feb-legacy-notoken";

/// The list.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "refusals, and heartbeats whose clock could not be merged",
        theirs: "`error` alone",
        ours: "also `message`",
        why: "A sentence says what was wrong and what is allowed; clients ignore members that they do not know.",
        applies: &[],
        rule: Rule::Everywhere,
    },
    Difference {
        what: "task objects, and heartbeats of who holds tasks",
        theirs: "a claim names fewer fields of a task than `get`",
        ours: "always the fields of August (`heartbeat_at` is null), and where there is one `fencing_token`, `dead_letter`, \
               `omitted`; heartbeats add `renewed` and `cancelled`",
        why: "A holder has to know its lease; clients ignore members that they do not know.",
        applies: &[],
        rule: Rule::Everywhere,
    },
    Difference {
        what: "`status`, and heartbeats that carry `workflow`",
        theirs: "no word of workflow tasks",
        ours: "`status` has `workflow.operations`; such a heartbeat is answered with `workflow`",
        why: "Nodes that hand workflow tasks over know each other by it; clients ignore members that they do not know.",
        applies: &[],
        rule: Rule::Everywhere,
    },
    Difference {
        what: "`known_peers`, `known_workers`",
        theirs: "in the order in which they were first heard of, in `heartbeat` also those that fell silent",
        ours: "the last one heard of first, within `p2p_peer_timeout_ms`, 256 of them in `heartbeat`",
        why: "An answer fits on a line however many peers there are, and who is gone is not named.",
        applies: &[],
        rule: Rule::Everywhere,
    },
    Difference {
        what: "a newline inside the JSON text, all in one read",
        theirs: "read as one request",
        ours: "`invalid_json`",
        why: "A request ends at its first newline; whether bytes came together must not decide what they mean.",
        applies: &[(BOTH, "frame/newline_inside_json")],
        rule: Rule::Error("invalid_json"),
    },
    Difference {
        what: "`cancel` and `release` of a task",
        theirs: "in February `unknown_op`; in August a `release` by another worker is `\"ok\": false` without an error",
        ours: "served; a `release` by another than the holder is `lease_lost`",
        why: "The newest clients send them, and every refusal has a code.",
        applies: &[
            (FEBRUARY, "cancel/unknown"),
            (FEBRUARY, "cancel/queued"),
            (FEBRUARY, "cancel/again"),
            (BOTH, "release/other_worker"),
            (BOTH, "release/ok"),
            ("client-new-mcp", "release_task"),
        ],
        rule: Rule::Served,
    },
    Difference {
        what: "`submit` with the idempotency key of other work",
        theirs: "in February the key means nothing; in August `internal_error`",
        ours: "`idempotency_conflict`",
        why: "Two tasks under one key are a mistake of the caller that it should hear of.",
        applies: &[(BOTH, "submit/idempotency_key 3 other work")],
        rule: Rule::Error("idempotency_conflict"),
    },
    Difference {
        what: "`complete` of a task that is not known",
        theirs: "`ok`",
        ours: "`task_not_found`",
        why: "A worker must not believe that its result is kept.",
        applies: &[(BOTH, "complete/unknown_id"), (BOTH, "complete_unknown_id")],
        rule: Rule::Error("task_not_found"),
    },
    Difference {
        what: "arrays and objects nested deeper than `max_json_depth` (64)",
        theirs: "read to a depth of some thousands",
        ours: "`invalid_json`",
        why: "Depth is bounded everywhere, so that no text can exhaust a stack, here or behind the queue.",
        applies: &[(BOTH, "frame/deep_nesting_500")],
        rule: Rule::Error("invalid_json"),
    },
    Difference {
        what: "a line over 1 MiB",
        theirs: "in February read up to some bytes more, then `invalid_json`",
        ours: "`frame_too_large`, as in August",
        why: "The limit counts the newline and is the same for every way of cutting the line into reads.",
        applies: &[
            (FEBRUARY, "frame/1MiB_plus_newline"),
            (FEBRUARY, "frame/1MiB_plus_1025"),
            (FEBRUARY, "frame/2MiB"),
            (FEBRUARY, "frame/2MiB_no_newline"),
        ],
        rule: Rule::Error("frame_too_large"),
    },
    Difference {
        what: "an `op` that is no string",
        theirs: "`internal_error`, with the words of the exception in `detail`",
        ours: "`unknown_op`",
        why: "It is the caller's mistake, and nobody is told of the inside of a node.",
        applies: &[(BOTH, "op/5"), (BOTH, "op/['x']"), (BOTH, "op/{'a': 1}"), (BOTH, "op/True")],
        rule: Rule::Error("unknown_op"),
    },
    Difference {
        what: "NaN and Infinity",
        theirs: "taken, stored and sent on",
        ours: "`invalid_json`",
        why: "They are not JSON, and other peers cannot read an answer that has them.",
        applies: &[(BOTH, "submit/NaN_payload"), (BOTH, "wait/NaN")],
        rule: Rule::Error("invalid_json"),
    },
    Difference {
        what: "payloads, results and values with half of a surrogate pair, or a number beyond a double",
        theirs: "taken, stored and sent on",
        ours: "`invalid_value`",
        why: "Strict readers, among them most of other languages, could not read any answer that has them, as a list does.",
        applies: &[(BOTH, "submit/lone_surrogate"), (BOTH, "submit/big_int_big_float")],
        rule: Rule::Error("invalid_value"),
    },
    Difference {
        what: "`timeout_s` that is no number",
        theirs: "`internal_error`, with the words of the exception in `detail`",
        ours: "`invalid_field`",
        why: "As for `op`; and a code with `timeout` in it would make clients send the request again.",
        applies: &[(BOTH, "wait/string 'abc'"), (BOTH, "wait/list")],
        rule: Rule::Error("invalid_field"),
    },
    Difference {
        what: "`release`, `cancel` and their aliases",
        theirs: "in February `unknown_op`",
        ours: "known: `missing_task_id`, as in August",
        why: "The newest clients send them.",
        applies: &[(FEBRUARY, "cancel/missing"), (FEBRUARY, "release/missing_task")],
        rule: Rule::Error("missing_task_id"),
    },
    Difference {
        what: "`release` without a worker",
        theirs: "in February `unknown_op`",
        ours: "known: `missing_worker_id`, as in August",
        why: "The newest clients send it.",
        applies: &[(FEBRUARY, "release/missing_worker")],
        rule: Rule::Error("missing_worker_id"),
    },
    Difference {
        what: "`call_tool` of a tool that does not exist",
        theirs: "in February `tool_not_found` or no answer; in August the task that should call it waits for a worker, \
                 then `timeout`",
        ours: "`tool_not_found`",
        why: "The node knows its tools, and `timeout` would make clients send the request again.",
        applies: &[
            (BOTH, "tool/unknown"),
            ("new-legacy+mcp-notoken", "tool/args_not_object"),
            ("client-new-mcp", "call_tool_unknown"),
            ("new-call_tool", "call_tool/registered 4"),
        ],
        rule: Rule::Error("tool_not_found"),
    },
    Difference {
        what: "`status`: `capabilities.task_types`",
        theirs: "`[\"text-generation\"]` where nothing is configured",
        ours: "an empty list",
        why: "This node runs no tasks, so it names no type that it could do.",
        applies: &[
            (BOTH, "status/*"),
            (BOTH, "status_*"),
            (BOTH, "get_capabilities"),
            ("client-new-mcp", "mcp_*"),
            (BOTH, "auth/*"),
            (BOTH, "frame/*"),
            (BOTH, "op/' STATUS '"),
        ],
        rule: Rule::Members { gone: &[], other: &["/capabilities/task_types"] },
    },
    Difference {
        what: "`status` with detail: `queue`, `local_worker`, `transport`",
        theirs: "what is queued and running, the types that a worker could do; in August also counters of frames",
        ours: "what is queued and running, no worker, no counters",
        why: "Workers are programs of their own; counters are metrics and belong to the operator.",
        applies: &[(BOTH, "status/detail*"), (BOTH, "status_detail")],
        rule: Rule::Members {
            gone: &["/transport"],
            other: &["/queue", "/local_worker/supported_task_types"],
        },
    },
];

/// The rows that apply to a recording, by their index.
pub(crate) fn of(recording: &Recording) -> impl Iterator<Item = (usize, &'static Difference)> {
    let applies = |difference: &Difference| {
        difference.applies.iter().any(|(file, case)| {
            let file = *file == BOTH || *file == recording.file;
            file && case
                .strip_suffix('*')
                .map_or(recording.case == *case, |start| recording.case.starts_with(start))
        })
    };
    DIFFERENCES.iter().enumerate().filter(move |(_, difference)| applies(difference))
}

/// Turns the recorded answer into the expected one, and takes out of ours what may differ. True where the row mattered.
pub(crate) fn apply(rule: &Rule, recording: &Recording, expected: &mut Value, ours: &mut Value) -> bool {
    match rule {
        Rule::Everywhere => false,
        Rule::Served => replace(expected, ours.clone()),
        Rule::Error(code) => replace(expected, refusal(code, recording)),
        Rule::Members { gone, other } => {
            if expected["ok"] != true || expected["capabilities"].is_null() {
                return false;
            }
            let before = expected.clone();
            for pointer in *gone {
                assert!(ours.pointer(pointer).is_none(), "{pointer} is there");
                expected.as_object_mut().unwrap().remove(&pointer[1..]);
            }
            for pointer in *other {
                let Some(theirs) = expected.pointer_mut(pointer) else { continue };
                let mine = ours.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
                assert_eq!(kind(theirs), kind(mine), "{pointer}");
                if let (Some(theirs), Some(mine)) = (theirs.as_object(), mine.as_object()) {
                    assert!(theirs.keys().eq(mine.keys()), "{pointer}");
                }
                *theirs = mine.clone();
            }
            *expected != before
        }
    }
}

fn refusal(code: &str, recording: &Recording) -> Value {
    let mut refusal = json!({"ok": false, "error": code, "peer_id": "<node>"});
    if code == "tool_not_found" {
        let request = recording.json();
        let named = ["tool", "tool_name", "name"].iter().find_map(|name| request.get(name).cloned());
        refusal["tool"] = named.unwrap();
    }
    refusal
}

fn replace(expected: &mut Value, other: Value) -> bool {
    let differs = *expected != other;
    *expected = other;
    differs
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// The table of the documentation.
pub(crate) fn markdown() -> String {
    let mut table = "| what | recorded nodes | this node | why |\n|---|---|---|---|\n".to_owned();
    for row in DIFFERENCES {
        table += &format!("| {} | {} | {} | {} |\n", row.what, row.theirs, row.ours, row.why);
    }
    table
}
