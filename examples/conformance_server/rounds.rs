//! Tools that need answers from the client before they can end: one, several at once, or several in turn.

use ringmesh::mcp::{
    CallError, Capability, Content, Context, Elicitation, Question, Registry, Role, Sampling, Tool,
};
use serde_json::Value;

use crate::asking::{field_schema, flag_schema, told};
use crate::plain::NO_PARAMETERS;

/// The tools of this file, in the order in which they are listed.
pub(crate) fn register(registry: Registry) -> Registry {
    registry
        .with(elicitation())
        .with(sampling())
        .with(list_roots())
        .with(request_state())
        .with(multiple_inputs())
        .with(multi_round())
        .with(tampered_state())
        .with(capabilities())
}

/// A tool without parameters.
fn tool<F, Fut>(name: &str, description: &str, handler: F) -> Tool
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, CallError>> + 'static,
{
    Tool::raw(name, description, NO_PARAMETERS, move |_: Value, context| handler(context))
}

/// Asks for one text under `key`, and reads the field of the same form.
pub(crate) async fn ask_text(
    context: &Context,
    key: &str,
    message: &'static str,
    field: &str,
) -> Result<String, CallError> {
    let elicited = context.elicit(key, Elicitation::form(message, field_schema(field, "string"))).await?;
    let content = elicited.content.unwrap_or_default();
    let text = content.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| CallError::failed("Without the form's field there is no answer."))
}

fn elicitation() -> Tool {
    let description = "Requires an elicitation input via InputRequiredResult (SEP-2322)";
    tool("test_input_required_result_elicitation", description, |context| async move {
        let name = ask_text(&context, "user_name", "What is your name?", "name").await?;
        Ok(format!("Hello, {name}!"))
    })
}

fn sampling() -> Tool {
    let description = "Requires a sampling input via InputRequiredResult (SEP-2322)";
    tool("test_input_required_result_sampling", description, |context| async move {
        let question =
            Sampling::new(100).message(Role::User, Content::text("What is the capital of France?"));
        let sampled = context.sample("capital_question", question).await?;
        Ok(sampled.text())
    })
}

fn list_roots() -> Tool {
    let description = "Requires a roots/list input via InputRequiredResult (SEP-2322)";
    tool("test_input_required_result_list_roots", description, |context| async move {
        let roots = context.roots("client_roots").await?;
        let uris: Vec<&str> = roots.iter().map(|root| root.uri.as_str()).collect();
        Ok(format!("Roots: {}", uris.join(", ")))
    })
}

fn request_state() -> Tool {
    let description = "Round-trips integrity-protected requestState (SEP-2322)";
    tool("test_input_required_result_request_state", description, |context| async move {
        // What `once` keeps is in the state, and only there: were it not read back, this would differ.
        let core = context.core();
        let first = context.once("first_core", || async move { Ok(core) }).await?;
        context.elicit("confirm", Elicitation::form("Please confirm", flag_schema("ok"))).await?;
        Ok(format!("state-ok (the first round ran on core {first})"))
    })
}

fn multiple_inputs() -> Tool {
    let description = "Requires elicitation + sampling + roots inputs in one round (SEP-2322)";
    tool("test_input_required_result_multiple_inputs", description, |context| async move {
        let greeting = Sampling::new(50).message(Role::User, Content::text("Generate a greeting"));
        let name = Elicitation::form("What is your name?", field_schema("name", "string"));
        let answers = context
            .ask_all([
                ("user_name", Question::from(name)),
                ("greeting", Question::from(greeting)),
                ("client_roots", Question::roots()),
            ])
            .await?;
        let name = told(answers.elicited("user_name")?);
        let greeting = answers.sampled("greeting")?.text();
        let roots = answers.roots("client_roots")?.len();
        Ok(format!("{greeting} ({name}, {roots} roots)"))
    })
}

fn multi_round() -> Tool {
    let description = "Drives multiple input_required rounds with evolving requestState (SEP-2322)";
    tool("test_input_required_result_multi_round", description, |context| async move {
        let name = ask_text(&context, "step1", "Step 1: What is your name?", "name").await?;
        let color = ask_text(&context, "step2", "Step 2: What is your favorite color?", "color").await?;
        Ok(format!("{name} likes {color}."))
    })
}

fn tampered_state() -> Tool {
    let description = "Rejects tampered requestState with a JSON-RPC error (SEP-2322)";
    tool("test_input_required_result_tampered_state", description, |context| async move {
        context.elicit("confirm", Elicitation::form("Please confirm", flag_schema("ok"))).await?;
        Ok("The state came back as it was sent.".to_owned())
    })
}

fn capabilities() -> Tool {
    let description = "Only requests inputs for declared client capabilities (SEP-2322)";
    tool("test_input_required_result_capabilities", description, |context| async move {
        let mut questions = Vec::new();
        if context.client_capabilities().has(Capability::Sampling) {
            let hello = Sampling::new(50).message(Role::User, Content::text("Say hello"));
            questions.push(("greeting", Question::from(hello)));
        }
        if context.client_capabilities().has(Capability::Elicitation) {
            let name = Elicitation::form("What is your name?", field_schema("name", "string"));
            questions.push(("user_name", Question::from(name)));
        }
        if questions.is_empty() {
            return Ok("The client can be asked for nothing.".to_owned());
        }
        let count = questions.len();
        context.ask_all(questions).await?;
        Ok(format!("The client answered {count} questions."))
    })
}
