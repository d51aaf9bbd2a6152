//! What is run for a task: programs with their arguments, one after the other.

use std::path::PathBuf;

use serde_json::Value;

use super::task::Task;

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments, each as it is: no shell reads them.
    pub arguments: Vec<String>,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
    /// What it reads from standard input.
    pub input: Vec<u8>,
    /// Whether file descriptor 3 takes its progress.
    pub takes_progress: bool,
    /// Whether standard output is the task's result; it is its log otherwise.
    pub gives_result: bool,
}

/// The programs of a task. Each runs once the one before has ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The programs, in their order.
    pub steps: Vec<Step>,
    /// What is run at the end, however it came, and whatever its own end.
    pub cleanup: Vec<Step>,
    /// What the task's log says first.
    pub remarks: Vec<String>,
    /// Exit codes with which the programs speak of this machine and not of the task.
    pub machine_codes: &'static [i32],
}

/// What a shell answers when a command cannot be run, or is not there.
const SHELL_CODES: &[i32] = &[126, 127];
/// What docker answers when it fails itself: the command never ran, or nobody knows how it ended.
pub(super) const DOCKER_CODES: &[i32] = &[125];

impl Step {
    /// A program with arguments and nothing else.
    pub fn program(program: impl Into<PathBuf>, arguments: Vec<String>) -> Step {
        Step {
            program: program.into(),
            arguments,
            environment: Vec::new(),
            input: Vec::new(),
            takes_progress: false,
            gives_result: false,
        }
    }
}

/// The plan of a command of the user's: `sh -c` with the payload on standard input.
pub(super) fn command(line: &str, task: &Task) -> Plan {
    let environment = [
        ("RINGMESH_TASK_ID", task.id.clone()),
        ("RINGMESH_TASK_TYPE", task.task_type.clone()),
        ("RINGMESH_MODEL_NAME", task.model_name.clone()),
        ("RINGMESH_ATTEMPT", task.attempt.to_string()),
    ];
    // A variable cannot hold NUL, which a name in JSON can.
    let environment = environment.map(|(name, value)| (name.to_owned(), value.replace('\0', "")));
    let mut input = Value::Object(task.payload.clone()).to_string().into_bytes();
    input.push(b'\n');
    let step = Step {
        environment: environment.to_vec(),
        input,
        takes_progress: true,
        gives_result: true,
        ..Step::program("/bin/sh", vec!["-c".to_owned(), line.to_owned()])
    };
    Plan { steps: vec![step], cleanup: Vec::new(), remarks: Vec::new(), machine_codes: SHELL_CODES }
}
