//! Completion: suggestions for the arguments of prompts and the variables of resource templates.

use std::collections::BTreeMap;
use std::fmt;

use crate::mcp::call::context::Context;
use crate::mcp::message::json::Object;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::handler::{HandlerFuture, Produced};

/// The most values of one completion that MCP lets through.
pub(crate) const MAX_VALUES: usize = 100;

/// What a client wants to have completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionRequest {
    /// The argument or variable.
    pub argument: String,
    /// What its user has typed so far.
    pub value: String,
    /// The arguments that have their values already; clients send them since 2025-06-18.
    pub context: BTreeMap<String, String>,
}

/// Suggestions, best first. Clients get at most 100, and are told when there are more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    values: Vec<String>,
    total: Option<u64>,
    has_more: Option<bool>,
}

impl Completion {
    /// These suggestions; beyond the hundredth they only count for the total.
    pub fn new<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Completion {
        let mut values = values.into_iter();
        let first: Vec<String> = values.by_ref().take(MAX_VALUES).map(Into::into).collect();
        let more = values.count() as u64;
        let total = (more > 0).then_some(first.len() as u64 + more);
        Completion { values: first, total, has_more: total.map(|_| true) }
    }

    /// Those of `candidates` that begin with what the user typed, whatever the case of their ASCII letters.
    pub fn starting_with<T: Into<String>>(
        typed: &str,
        candidates: impl IntoIterator<Item = T>,
    ) -> Completion {
        let begins = |candidate: &String| {
            candidate.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed))
        };
        Completion::new(candidates.into_iter().map(Into::into).filter(begins))
    }

    /// How many suggestions there are in all, sent or not.
    #[must_use]
    pub fn total(mut self, total: u64) -> Completion {
        self.total = Some(total);
        self
    }

    /// Whether there are more than these, even where nobody knows how many.
    #[must_use]
    pub fn has_more(mut self, has_more: bool) -> Completion {
        self.has_more = Some(has_more);
        self
    }

    /// Appends the value of `completion` in the result.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.value("values", &self.values);
        if let Some(total) = self.total {
            object.value("total", &total);
        }
        if let Some(has_more) = self.has_more {
            object.value("hasMore", &has_more);
        }
        object.close();
    }
}

impl<T: Into<String>> From<Vec<T>> for Completion {
    fn from(values: Vec<T>) -> Self {
        Completion::new(values)
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Completion {
    fn from(values: [T; N]) -> Self {
        Completion::new(values)
    }
}

type Completer = Box<dyn Fn(CompletionRequest, Context) -> HandlerFuture + Send + Sync>;

/// The completers of one prompt or template, by argument.
#[derive(Default)]
pub(crate) struct Completers(Vec<(String, Completer)>);

impl Completers {
    pub(crate) fn add<F, Fut, C>(&mut self, argument: impl Into<String>, completer: F)
    where
        F: Fn(CompletionRequest, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, CallError>> + 'static,
        C: Into<Completion>,
    {
        let boxed = Box::new(move |request: CompletionRequest, context: Context| -> HandlerFuture {
            let future = completer(request, context);
            Box::pin(async move { Ok(Produced::Completion(future.await?.into())) })
        });
        self.0.push((argument.into(), boxed));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn find(&self, argument: &str) -> Option<&Completer> {
        self.0.iter().find(|(name, _)| name == argument).map(|(_, completer)| completer)
    }

    /// Checks that each completer has an argument, and no argument two; the error is a sentence without its subject.
    pub(crate) fn check<'a>(&self, arguments: impl Iterator<Item = &'a str>) -> Result<(), String> {
        let arguments: Vec<&str> = arguments.collect();
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !arguments.contains(&name.as_str()) {
                let known = arguments.join(", ");
                return Err(format!("completes {name:?}, which it does not have; it has {known}"));
            }
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("completes {name:?} twice"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Completers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn written(completion: &Completion) -> Value {
        let mut out = Vec::new();
        completion.write(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_hundred_values_pass_and_the_rest_is_counted() {
        assert_eq!(written(&vec!["a", "b"].into()), json!({"values": ["a", "b"]}));
        let all: Completion = (0..100).map(|index| index.to_string()).collect::<Vec<_>>().into();
        assert_eq!(written(&all).as_object().unwrap().len(), 1);
        let many = written(&Completion::new((0..250).map(|index| index.to_string())));
        assert_eq!(many["values"].as_array().unwrap().len(), 100);
        assert_eq!((&many["total"], &many["hasMore"]), (&json!(250), &json!(true)));
        let told = written(&Completion::from(["a"]).total(7).has_more(true));
        assert_eq!(told, json!({"values": ["a"], "total": 7, "hasMore": true}));
    }

    #[test]
    fn candidates_are_found_by_their_start() {
        let found = Completion::starting_with("Pa", ["paris", "Park", "party", "PARKING", "p", "über"]);
        assert_eq!(written(&found)["values"], json!(["paris", "Park", "party", "PARKING"]));
        assert_eq!(written(&Completion::starting_with("ü", ["über", "u"]))["values"], json!(["über"]));
    }
}
