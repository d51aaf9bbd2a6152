//! `p2p_check_workflow_tags`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Failure;
use super::ask::{Ask, Here};
use super::shapes::TagsShape;
use crate::scheduler::TagCheck;
use crate::tools::task_queue::Effect;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CheckTags {
    /// The tags of a workflow.
    tags: Vec<String>,
}

impl Ask for CheckTags {
    type Answer = TagCheck;
    type Shape = TagsShape;
    const NAME: &'static str = "p2p_check_workflow_tags";
    const TITLE: &'static str = "Check the tags of a workflow";
    const DESCRIPTION: &'static str =
        "Says whether a workflow with these tags is for peers, and for them alone";
    const EFFECT: Effect = Effect::Reads;

    async fn answer(self, _: &Here) -> Result<TagCheck, Failure> {
        Ok(TagCheck::of(self.tags.iter().map(String::as_str)))
    }
}
