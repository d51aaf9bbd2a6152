//! `resources/read`.

use crate::mcp::call::context::Target;
use crate::mcp::message::answer::{Outcome, Refusal};
use crate::mcp::offer::catalog::Found;
use crate::mcp::offer::handler::Started;
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::serve::methods::required;
use crate::mcp::serve::tools_call::CallMeta;

impl Dispatcher {
    /// Starts reading the resource that the request names: the one registered with that URI, or the first template that
    /// can make it.
    pub(crate) fn read_resource(
        &self,
        request: &Request<'_>,
        id: &str,
        meta: CallMeta,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        let uri = required(request.message.params.uri, "uri")?;
        Refusal::check_uri_length(&uri, &self.shared.options.limits)?;
        match request.snapshot.catalog().find_uri(&uri) {
            Some(Found::Resource(index, resource)) => {
                let target = (Target::Resource(index), resource.timeout);
                let start = |context| Started::Running((resource.handler)(context));
                self.begin(request, id, target, meta, start, out)
            }
            Some(Found::Template(index, template, variables)) => {
                let target = (Target::Template(index), template.described.timeout);
                let start = |context| match (template.described.handler)(&variables, context) {
                    Ok(future) => Started::Running(future),
                    Err(problem) => Started::Invalid(problem),
                };
                self.begin(request, id, target, meta, start, out)
            }
            None => Err(Refusal::no_resource(&uri)),
        }
    }
}
