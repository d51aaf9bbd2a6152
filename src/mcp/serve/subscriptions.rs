//! Who wants to hear of changes: `subscriptions/listen`, and `resources/subscribe` before it.

use std::sync::Arc;

use crate::mcp::listen::feed::Feed;
use crate::mcp::listen::filter::{Advertised, Filter, check_uri, too_many};
use crate::mcp::listen::inbox::Inbox;
use crate::mcp::listen::places::Place;
use crate::mcp::message::answer::{Outcome, Refusal, write_result};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::Access;
use crate::mcp::message::scan::text;
use crate::mcp::offer::catalog::{Catalog, Found};
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::serve::methods::method_not_found;
use crate::mcp::session::entry::Session;

impl Dispatcher {
    /// `subscriptions/listen` (2026-07-28).
    pub(crate) fn listen(&self, request: &Request<'_>, id: &str) -> Result<Outcome, Refusal> {
        let limits = &self.shared.options.limits;
        let filter = Filter::parse(request.message.params.notifications, limits)?;
        let catalog = request.snapshot.catalog();
        let honoured = filter.honoured(Advertised::of(catalog), |uri| is_told(catalog, uri, request));
        let place = self.place()?;
        let inbox = Inbox::new(honoured.lists, honoured.uris.clone().unwrap_or_default());
        let registration = self.shared.hub.register(Arc::new(inbox));
        Ok(Outcome::Feed(Feed::subscription(registration, id, &honoured, &self.shared.server_meta, place)))
    }

    /// `resources/subscribe` of the older revisions.
    pub(crate) fn subscribe(
        &self,
        request: &Request<'_>,
        session: &Session,
        id: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let advertised = Advertised::of(request.snapshot.catalog());
        let uri = self.subscribed_uri(request, advertised)?;
        if !is_told(request.snapshot.catalog(), &uri, request) {
            return Err(Refusal::no_resource(&uri));
        }
        let registration = session
            .streams
            .inbox(&self.shared.hub, advertised.lists)
            .map_err(|_| Refusal::new(ErrorKind::SessionNotFound, "The session has ended"))?;
        let limits = &self.shared.options.limits;
        let most = usize::try_from(limits.max_resource_subscriptions).unwrap_or(usize::MAX);
        if !registration.inbox.subscribe(&uri, most) {
            return Err(too_many(limits));
        }
        write_result(out, id, b"{}");
        Ok(())
    }

    /// `resources/unsubscribe` of the older revisions; no error where there is no subscription.
    pub(crate) fn unsubscribe(
        &self,
        request: &Request<'_>,
        session: &Session,
        id: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let uri = self.subscribed_uri(request, Advertised::of(request.snapshot.catalog()))?;
        if let Some(registration) = session.streams.known_inbox() {
            registration.inbox.unsubscribe(&uri);
        }
        write_result(out, id, b"{}");
        Ok(())
    }

    fn subscribed_uri<'a>(
        &self,
        request: &Request<'a>,
        advertised: Advertised,
    ) -> Result<std::borrow::Cow<'a, str>, Refusal> {
        if !advertised.resources {
            return Err(method_not_found(request));
        }
        let uri = request.message.params.uri.and_then(text).ok_or_else(|| {
            Refusal::new(
                ErrorKind::InvalidParams,
                "Invalid params: params.uri is required and must be a string",
            )
        })?;
        check_uri(&uri, &self.shared.options.limits)?;
        Ok(uri)
    }

    /// A place for one more stream that stays open.
    pub(crate) fn place(&self) -> Result<Place, Refusal> {
        self.shared.places.enter().ok_or_else(|| {
            let message = "As many event streams are open as max_event_streams allows; try again later";
            Refusal::new(ErrorKind::EventStreamsFull, message)
        })
    }
}

/// Whether a resource has this URI, or a template leads to it, and the caller may hear of its changes.
fn is_told(catalog: &Catalog, uri: &str, request: &Request<'_>) -> bool {
    let is_private = match catalog.find_uri(uri) {
        None => return false,
        Some(Found::Resource(_, resource)) => resource.readable.is_private,
        Some(Found::Template(_, template, _)) => template.described.readable.is_private,
    };
    !is_private || request.at.access == Access::Full
}
