//! The one look-up of a name: what it finds is judged, and nothing else is dialled.

use std::net::SocketAddr;
use std::time::Duration;

use super::{DialRefusal, DialTarget};
use crate::p2p::address::Endpoint;
use crate::runtime;

impl DialTarget {
    /// Where to dial, judged.
    ///
    /// # Errors
    /// The name has no address, or none that may be dialled.
    pub async fn addresses(&self, timeout: Duration) -> Result<Vec<SocketAddr>, DialRefusal> {
        match self.endpoint()? {
            Endpoint::Address(address) => self.among(&[address]),
            Endpoint::Name { host, port, family } => {
                let found = runtime::resolve(&host, port, timeout).await;
                let mut found = found.map_err(|error| DialRefusal::Resolve(error.to_string()))?;
                found.retain(|address| family.allows(address.ip()));
                self.among(&found)
            }
        }
    }
}
