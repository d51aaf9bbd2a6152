//! The server's questions, asked on the terminal; without one they are declined.

use serde_json::{Map, Value};

use super::form;
use super::terminal::{Terminal, Turn};
use super::text::{line, visible};
use crate::client::{ElicitMode, ElicitReply, ElicitRequest};

/// Asks the user. Without a terminal nobody is asked, and the answer is no.
pub(super) async fn elicit(terminal: &Terminal, request: ElicitRequest) -> ElicitReply {
    if !terminal.asks() {
        terminal.say(&format!(
            "ringmesh: the server asks {:?}; declined, because there is no terminal to ask on",
            line(&request.message)
        ));
        return ElicitReply::Decline;
    }
    let turn = terminal.turn().await;
    turn.say(&format!("The server asks: {}", visible(&request.message)));
    match request.mode {
        ElicitMode::Form { schema } => fill_in(&turn, &schema).await,
        ElicitMode::Url { url, .. } => visit(&turn, &url).await,
    }
}

/// Yes, no, or neither.
async fn consent(turn: &Turn<'_>, question: &str) -> Result<(), ElicitReply> {
    loop {
        let answer = turn.answer(&format!("{question} [Y]es, [n]o, [c]ancel: ")).await;
        match answer.as_deref().map(str::trim).map(str::to_ascii_lowercase).as_deref() {
            Some("" | "y" | "yes") => return Ok(()),
            Some("n" | "no") => return Err(ElicitReply::Decline),
            Some("c" | "cancel") | None => return Err(ElicitReply::Cancel),
            Some(_) => {}
        }
    }
}

async fn fill_in(turn: &Turn<'_>, schema: &Value) -> ElicitReply {
    if let Err(reply) = consent(turn, "Answer?").await {
        return reply;
    }
    let mut content = Map::new();
    for field in form::fields(schema) {
        turn.say(&field.question());
        loop {
            let Some(answer) = turn.answer("  > ").await else {
                turn.say("");
                return ElicitReply::Cancel;
            };
            match field.read(&answer) {
                Ok(Some(value)) => break drop(content.insert(field.name.clone(), value)),
                Ok(None) => break,
                Err(why) => turn.say(&format!("    {why}")),
            }
        }
    }
    ElicitReply::Accept(content)
}

/// A page is opened by the user, never by the command.
async fn visit(turn: &Turn<'_>, url: &str) -> ElicitReply {
    turn.say(&format!("It wants you to open this page: {}", line(url)));
    match consent(turn, "Will you?").await {
        Ok(()) => ElicitReply::Accept(Map::new()),
        Err(reply) => reply,
    }
}
