//! The operations: their names, what they need, and where they run.

use super::codes::ErrorCode;
use super::fields::Field;

/// Who may ask for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Everybody who is admitted at all.
    Reading,
    /// Callers with full access.
    FullAccess,
    /// The operation has a rule of its own.
    ItsOwnRule,
}

/// What an operation belongs to, and so what it waits for or is switched off with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Node,
    Queue,
    Cache,
    Tools,
    Workflow,
}

/// A field that must not be empty.
pub(super) type Required = (&'static [Field], ErrorCode);

/// One row of the table.
#[derive(Debug)]
pub(super) struct OperationInfo {
    /// Its name, which labels metrics, and then its aliases.
    pub(super) names: &'static [&'static str],
    pub(super) part: Part,
    pub(super) needs: Needs,
    pub(super) required: &'static [Required],
}

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $variant:ident [$name:literal $(, $alias:literal)*] $part:ident $needs:ident
       [$($field:ident $code:ident),*];)*) => {
        /// What a request asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Operation { $($(#[doc = $doc])+ $variant,)* }

        impl Operation {
            pub(super) const ALL: &'static [Operation] = &[$(Operation::$variant,)*];
            const TABLE: &'static [OperationInfo] = &[$(OperationInfo {
                names: &[$name $(, $alias)*],
                part: Part::$part,
                needs: Needs::$needs,
                required: &[$((&[Field::$field], ErrorCode::$code)),*],
            },)*];
        }

        /// The names of the operations, by the index that an answer carries: labels of metrics.
        pub const OPERATIONS: &[&str] = &[$($name,)*];
    };
}

operations! {
    /// Adds a task.
    Submit ["submit"] Queue FullAccess [];
    /// Takes the next task.
    Claim ["claim", "claim_next"] Queue FullAccess [WorkerId MissingWorkerId];
    /// Takes several tasks.
    ClaimMany ["claim_many", "claim_batch"] Queue FullAccess [WorkerId MissingWorkerId];
    /// Ends a task.
    Complete ["complete", "task.complete", "complete_task"] Queue FullAccess [TaskId MissingTaskId];
    /// Gives a task back.
    Release ["release", "task.release", "release_task"] Queue FullAccess
        [TaskId MissingTaskId, WorkerId MissingWorkerId];
    /// Stops a task that nobody needs any more.
    Cancel ["cancel", "task.cancel"] Queue FullAccess [TaskId MissingTaskId];
    /// Puts a failed or cancelled task back.
    Requeue ["requeue", "task.requeue"] Queue FullAccess [TaskId MissingTaskId];
    /// Says that a peer is alive, and what its clock shows.
    Heartbeat ["heartbeat", "peer.heartbeat", "peer"] Node ItsOwnRule [];
    /// Lists tasks.
    List ["list", "tasks.list", "queue.list"] Queue Reading [];
    /// Shows a task.
    Get ["get"] Queue Reading [];
    /// Shows a task once it has ended.
    Wait ["wait"] Queue Reading [];
    /// Says what this node can do and what it knows.
    Status ["status", "capabilities", "describe"] Node Reading [];
    /// Calls a tool.
    CallTool ["call_tool", "tool", "tool.call"] Tools ItsOwnRule [];
    /// Reads a value.
    CacheGet ["cache.get", "cache_get", "cache"] Cache Reading [Key MissingKey];
    /// Says whether there is a value.
    CacheHas ["cache.has", "cache_has"] Cache Reading [Key MissingKey];
    /// Writes a value.
    CacheSet ["cache.set", "cache_set"] Cache FullAccess [Key MissingKey];
    /// Removes a value.
    CacheDelete ["cache.delete", "cache_del", "cache_delete"] Cache FullAccess [Key MissingKey];
    /// Asks for workflow tasks that changed here.
    WorkflowFetch ["workflow.fetch"] Workflow FullAccess [];
    /// Says that the tasks of a fetch are on the asker's disk.
    WorkflowAck ["workflow.ack"] Workflow FullAccess [];
}

impl Operation {
    /// The operation with this name, whatever its case and the white space around it.
    pub fn parse(name: &str) -> Option<Operation> {
        let name = name.trim();
        let known = |operation: &&Operation| {
            operation.info().names.iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        Operation::ALL.iter().find(known).copied()
    }

    /// Its name, without the aliases.
    pub fn name(self) -> &'static str {
        OPERATIONS[self as usize]
    }

    pub(super) fn info(self) -> &'static OperationInfo {
        &Self::TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_one_operation() {
        let mut names = std::collections::HashSet::new();
        for operation in Operation::ALL {
            for name in operation.info().names {
                assert!(names.insert(name), "{name}");
                assert_eq!(Operation::parse(name), Some(*operation));
                assert_eq!(Operation::parse(&format!("\t{} ", name.to_uppercase())), Some(*operation));
            }
        }
        assert_eq!(Operation::parse("statuss"), None);
        assert_eq!(OPERATIONS.len(), Operation::ALL.len());
    }
}
