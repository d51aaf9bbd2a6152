//! A family of resources under one URI template.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::mcp::call::context::Context;
use crate::mcp::message::era::Revision;
use crate::mcp::message::json::{self, Object};
use crate::mcp::offer::cache::Cache;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::completion::{Completers, Completion, CompletionRequest};
use crate::mcp::offer::contents::IntoContents;
use crate::mcp::offer::handler::HandlerFuture;
use crate::mcp::offer::metadata::{
    Metadata, Readable, metadata_setters, readable_setters, single_use_setter,
};
use crate::mcp::offer::resource::reading;
use crate::mcp::offer::shelf::Listed;
use crate::mcp::offer::texts;
use crate::mcp::offer::uri_template::UriTemplate;

type Handler = Box<dyn Fn(&[(&str, String)], Context) -> Result<HandlerFuture, String> + Send + Sync>;

/// Resources that differ in parts of their URI only, such as `test://users/{id}`.
///
/// `{name}` stands for one piece of a path: never empty, without `/`, `?` or `#`. `{+name}`, which only the last variable
/// can be, stands for any text. Values come percent-decoded, and as no path can be told from a name by its type, none is
/// ever `.` or `..`, has such a segment, or has control characters; a `{name}` has no slash even when it was encoded. A
/// URI with such a value names no resource.
///
/// The variables are read into the handler's type by their names: a struct with fields of strings, numbers, flags or
/// plain enums, or a map of strings. A value that does not fit names no resource either.
///
/// A URI that is registered as a [`Resource`](crate::mcp::Resource) of its own is that one; of several templates that
/// match, the first registered answers.
///
/// ```
/// use ringmesh::mcp::{CompletionRequest, Completion, Context, Dispatcher, McpOptions, Registry, ResourceTemplate};
///
/// #[derive(serde::Deserialize)]
/// struct Row {
///     table: String,
///     id: u64,
/// }
///
/// let rows = ResourceTemplate::new("db://{table}/{id}", "row", |row: Row, _: Context| async move {
///     Ok(format!("row {} of {}", row.id, row.table))
/// });
/// let rows = rows.complete("table", |request: CompletionRequest, _: Context| async move {
///     Ok(Completion::starting_with(&request.value, ["users", "orders"]))
/// });
/// Dispatcher::new(Registry::new().resource_template(rows), McpOptions::default())?;
/// # Ok::<(), ringmesh::mcp::RegistryError>(())
/// ```
pub struct ResourceTemplate {
    pub(crate) template: String,
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) readable: Readable,
    pub(crate) cache: Cache,
    pub(crate) timeout: Option<Duration>,
    pub(crate) single_use: bool,
    pub(crate) completers: Completers,
    pub(crate) handler: Handler,
}

metadata_setters!(ResourceTemplate);
readable_setters!(ResourceTemplate);
single_use_setter!(ResourceTemplate);

impl ResourceTemplate {
    /// A template whose resources an async function of the variables reads.
    pub fn new<T, F, Fut, R>(
        template: impl Into<String>,
        name: impl Into<String>,
        handler: F,
    ) -> ResourceTemplate
    where
        T: DeserializeOwned + 'static,
        F: Fn(T, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, CallError>> + 'static,
        R: IntoContents,
    {
        let handler = move |variables: &[(&str, String)], context: Context| {
            texts::read(variables).map(|read: T| reading(handler(read, context)))
        };
        ResourceTemplate {
            template: template.into(),
            name: name.into(),
            metadata: Metadata::default(),
            readable: Readable::default(),
            cache: Cache::default(),
            timeout: None,
            single_use: false,
            completers: Completers::default(),
            handler: Box::new(handler),
        }
    }

    /// Suggests values for a variable.
    #[must_use]
    pub fn complete<F, Fut, C>(mut self, variable: impl Into<String>, completer: F) -> ResourceTemplate
    where
        F: Fn(CompletionRequest, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, CallError>> + 'static,
        C: Into<Completion>,
    {
        self.completers.add(variable, completer);
        self
    }

    /// Checks the template and makes it ready; the error is a sentence without its subject.
    pub(crate) fn ready(self, max_uri_bytes: u64) -> Result<ReadyTemplate, String> {
        let pattern = UriTemplate::parse(&self.template)?;
        if self.template.len() as u64 > max_uri_bytes {
            return Err(format!("has more bytes than max_uri_bytes, which is {max_uri_bytes}"));
        }
        if self.name.is_empty() {
            return Err("has no name".to_owned());
        }
        self.readable.check()?;
        self.metadata.check()?;
        self.completers.check(pattern.variables())?;
        Ok(ReadyTemplate { pattern, described: self })
    }
}

/// A template that URIs can be held against.
#[derive(Debug)]
pub(crate) struct ReadyTemplate {
    pub(crate) pattern: UriTemplate,
    pub(crate) described: ResourceTemplate,
}

impl Listed for ReadyTemplate {
    const MEMBER: &'static str = "resourceTemplates";

    fn key(&self) -> &str {
        self.pattern.as_str()
    }

    fn entry(&self, revision: Revision) -> String {
        let described = &self.described;
        json::object(|object: &mut Object<'_>| {
            object.string("uriTemplate", &described.template);
            object.string("name", &described.name);
            described.metadata.write_title(object, revision);
            described.readable.write(object, revision);
            described.metadata.write_rest(object, revision);
        })
    }
}

impl fmt::Debug for ResourceTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceTemplate")
            .field("template", &self.template)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
