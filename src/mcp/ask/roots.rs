//! The directories and files that the client lets the server work on.

use serde::Deserialize;

/// One root, as the client listed it.
///
/// The URI comes from the client: check it before it is used as a path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Root {
    /// The URI, `file://…`.
    pub uri: String,
    /// A name for people.
    #[serde(default)]
    pub name: Option<String>,
}

/// The answer to `roots/list`.
#[derive(Debug, Deserialize)]
pub(crate) struct RootList {
    pub(crate) roots: Vec<Root>,
}
