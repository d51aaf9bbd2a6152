//! A resource as its author describes it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::mcp::call::context::Context;
use crate::mcp::message::era::Revision;
use crate::mcp::message::json::{self, Object};
use crate::mcp::offer::cache::Cache;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::contents::{Contents, IntoContents};
use crate::mcp::offer::handler::{HandlerFuture, Produced};
use crate::mcp::offer::metadata::{
    Metadata, Readable, metadata_setters, readable_setters, single_use_setter,
};
use crate::mcp::offer::shelf::Listed;
use crate::mcp::offer::uri;

/// Something that clients can read under a URI of its own.
///
/// Mistakes in it (no URI, an icon with a bad scheme) are reported when it is put on offer.
///
/// ```
/// use ringmesh::mcp::{Context, Contents, Dispatcher, McpOptions, Registry, Resource};
///
/// let registry = Registry::new()
///     .resource(Resource::text("test://motto", "motto", "Slow is smooth.").mime_type("text/plain"))
///     .resource(Resource::new("test://who", "who", |context: Context| async move {
///         Ok(Contents::text(format!("asked by {}", context.principal())))
///     }));
/// Dispatcher::new(registry, McpOptions::default())?;
/// # Ok::<(), ringmesh::mcp::RegistryError>(())
/// ```
pub struct Resource {
    pub(crate) uri: String,
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) readable: Readable,
    pub(crate) size: Option<u64>,
    pub(crate) cache: Cache,
    pub(crate) timeout: Option<Duration>,
    pub(crate) single_use: bool,
    pub(crate) handler: Box<dyn Fn(Context) -> HandlerFuture + Send + Sync>,
}

metadata_setters!(Resource);
readable_setters!(Resource);
single_use_setter!(Resource);

impl Resource {
    /// A resource that an async function reads.
    pub fn new<F, Fut, R>(uri: impl Into<String>, name: impl Into<String>, handler: F) -> Resource
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, CallError>> + 'static,
        R: IntoContents,
    {
        Resource::with_handler(uri.into(), name.into(), move |context| reading(handler(context)))
    }

    /// A resource that is a text, the same for everyone and for as long as it is on offer.
    pub fn text(
        uri: impl Into<String>,
        name: impl Into<String>,
        text: impl Into<Cow<'static, str>>,
    ) -> Resource {
        let text = text.into();
        let size = text.len() as u64;
        let resource = Resource::with_handler(uri.into(), name.into(), move |_| {
            Box::pin(std::future::ready(Ok(Produced::Contents(vec![Contents::text(text.clone())]))))
        });
        resource.size(size)
    }

    fn with_handler(
        uri: String,
        name: String,
        handler: impl Fn(Context) -> HandlerFuture + Send + Sync + 'static,
    ) -> Resource {
        Resource {
            uri,
            name,
            metadata: Metadata::default(),
            readable: Readable::default(),
            size: None,
            cache: Cache::default(),
            timeout: None,
            single_use: false,
            handler: Box::new(handler),
        }
    }

    /// The size of what a read yields, in bytes before any encoding.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Resource {
        self.size = Some(bytes);
        self
    }

    /// Checks the resource; the error is a sentence without its subject.
    pub(crate) fn check(&self, max_uri_bytes: u64) -> Result<(), String> {
        uri::check(&self.uri)?;
        if self.uri.len() as u64 > max_uri_bytes {
            return Err(format!("has a URI of more bytes than max_uri_bytes, which is {max_uri_bytes}"));
        }
        if self.name.is_empty() {
            return Err("has no name".to_owned());
        }
        self.readable.check()?;
        self.metadata.check()
    }
}

/// The future that a read is.
pub(crate) fn reading<Fut, R>(future: Fut) -> HandlerFuture
where
    Fut: Future<Output = Result<R, CallError>> + 'static,
    R: IntoContents,
{
    Box::pin(async move { Ok(Produced::Contents(future.await?.into_contents())) })
}

impl Listed for Resource {
    const MEMBER: &'static str = "resources";

    fn key(&self) -> &str {
        &self.uri
    }

    fn entry(&self, revision: Revision) -> String {
        json::object(|object: &mut Object<'_>| {
            object.string("uri", &self.uri);
            object.string("name", &self.name);
            self.metadata.write_title(object, revision);
            self.readable.write(object, revision);
            if let Some(size) = self.size {
                object.value("size", &size);
            }
            self.metadata.write_rest(object, revision);
        })
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("uri", &self.uri).field("name", &self.name).finish_non_exhaustive()
    }
}
