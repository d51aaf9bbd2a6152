//! The error of 2025-11-25 that names links to follow first (-32042), and what stands for it elsewhere.

use crate::mcp::ask::elicitation::{Elicitation, Mode};
use crate::mcp::ask::questions::Question;
use crate::mcp::call::context::CallState;
use crate::mcp::call::outcome::{answered, is_tool, refuse, write_reply};
use crate::mcp::message::answer::{Answer, Label, Refusal};
use crate::mcp::message::capability::Capability;
use crate::mcp::message::era::Revision;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::offer::content::Content;
use crate::mcp::offer::reply::Reply;

/// Writes the answer of a call that cannot succeed before the user followed these links.
pub(crate) fn write(
    out: &mut Vec<u8>,
    state: &CallState,
    message: &str,
    links: &[Elicitation],
    label: Label,
) -> Answer {
    if state.revision != Revision::V2025_11_25 {
        let texts = std::iter::once(message.to_owned()).chain(links.iter().map(in_words));
        if !is_tool(state) {
            let message = texts.collect::<Vec<_>>().join(" ");
            return refuse(out, state, &Refusal::new(ErrorKind::ToolProtocol, message), label);
        }
        write_reply(out, state, &Reply::blocks(texts.map(Content::text)).failed());
        return answered(ErrorKind::ToolFailed, state, label);
    }
    let declared =
        state.session.as_ref().is_some_and(|session| session.capabilities().has(Capability::ElicitationUrl));
    let refusal = match elicitations(links) {
        Err(problem) => {
            tracing::error!(tool = state.name(), problem, "links that the user must follow");
            Refusal::new(ErrorKind::Internal, "Internal error")
        }
        Ok(_) if !declared => {
            let needed = Capability::ElicitationUrl.required();
            let message = format!("The client must declare the capability {needed}: {message}");
            let data = format!(r#"{{"requiredCapabilities":{needed}}}"#);
            Refusal::new(ErrorKind::MissingCapability, message).with_data(data)
        }
        Ok(data) => Refusal::new(ErrorKind::UrlElicitationRequired, message.to_owned()).with_data(data),
    };
    refuse(out, state, &refusal, label)
}

/// The error's data; the error names what an author got wrong.
fn elicitations(links: &[Elicitation]) -> Result<String, String> {
    let mut data = br#"{"elicitations":["#.to_vec();
    if links.is_empty() {
        return Err("there must be at least one link".to_owned());
    }
    for (index, link) in links.iter().enumerate() {
        let Mode::Url { .. } = &link.mode else { return Err("a form is no link".to_owned()) };
        Question::from(link.clone()).check()?;
        if index > 0 {
            data.push(b',');
        }
        link.write_params(&mut data, Revision::V2025_11_25)?;
    }
    data.extend_from_slice(b"]}");
    String::from_utf8(data).map_err(|error| error.to_string())
}

fn in_words(link: &Elicitation) -> String {
    match &link.mode {
        Mode::Url { url, .. } => format!("{}: {url}", link.message),
        _ => link.message.clone().into_owned(),
    }
}
