//! Prompts: plain, with arguments and their completion, with embedded content, and one that asks first.

use std::collections::BTreeMap;

use ringmesh::mcp::{
    Completion, CompletionRequest, Content, Context, Prompt, PromptArgument, PromptMessage, Registry,
};

use crate::media::PNG;
use crate::rounds::ask_text;

/// What is offered for `arg1`.
const WORDS: [&str; 4] = ["paris", "park", "party", "testing"];

pub(crate) fn register(registry: Registry) -> Registry {
    registry
        .prompt(simple())
        .prompt(with_arguments())
        .prompt(with_embedded_resource())
        .prompt(with_image())
        .prompt(with_question())
}

fn argument<'a>(arguments: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    arguments.get(name).map_or("", String::as_str)
}

fn simple() -> Prompt {
    Prompt::raw("test_simple_prompt", "A simple test prompt with no arguments", [], |_, _| async move {
        Ok("This is a simple prompt for testing.".to_owned())
    })
}

fn with_arguments() -> Prompt {
    let arguments = [
        PromptArgument::new("arg1").description("First test argument").required(),
        PromptArgument::new("arg2").description("Second test argument"),
    ];
    let description = "A test prompt that accepts arguments";
    let prompt = Prompt::raw("test_prompt_with_arguments", description, arguments, |given, _| async move {
        let (arg1, arg2) = (argument(&given, "arg1"), argument(&given, "arg2"));
        Ok(format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))
    });
    prompt.complete("arg1", |request: CompletionRequest, _: Context| async move {
        Ok(Completion::starting_with(&request.value, WORDS))
    })
}

fn with_embedded_resource() -> Prompt {
    let arguments =
        [PromptArgument::new("resourceUri").description("URI of the resource to embed").required()];
    let description = "A test prompt that includes an embedded resource";
    Prompt::raw("test_prompt_with_embedded_resource", description, arguments, |given, _| async move {
        let uri = argument(&given, "resourceUri");
        let text = "Embedded resource content for testing.";
        Ok(vec![
            PromptMessage::user(Content::resource_text(uri, "text/plain", text)),
            PromptMessage::user(Content::text("Please process the embedded resource above.")),
        ])
    })
}

fn with_image() -> Prompt {
    let description = "A test prompt that includes an image";
    Prompt::raw("test_prompt_with_image", description, [], |_, _| async move {
        Ok(vec![
            PromptMessage::user(Content::image(PNG, "image/png")),
            PromptMessage::user(Content::text("Please analyze the image above.")),
        ])
    })
}

fn with_question() -> Prompt {
    let description = "A prompt that requires elicitation input via InputRequiredResult (SEP-2322)";
    Prompt::raw("test_input_required_result_prompt", description, [], |_, context| async move {
        let message = "What context should the prompt use?";
        let text = ask_text(&context, "user_context", message, "context").await?;
        Ok(format!("Use this context: {text}"))
    })
}
