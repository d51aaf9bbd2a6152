//! Resources, their templates and their contents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::raw::{RawJson, kept_whole};

/// A resource that the server lists.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResourceDescription {
    /// Its address, as [`crate::client::Client::read_resource`] takes it.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Its media type.
    pub mime_type: Option<String>,
    /// Its size in bytes, before any encoding.
    pub size: Option<u64>,
    /// The whole description, with whatever has no field here.
    #[serde(skip)]
    pub raw: RawJson,
}

/// A family of resources, by a template of their addresses (RFC 6570).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResourceTemplateDescription {
    /// The template, for example `file:///{path}`.
    pub uri_template: String,
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The media type of all its resources.
    pub mime_type: Option<String>,
    /// The whole description, with whatever has no field here.
    #[serde(skip)]
    pub raw: RawJson,
}

/// What reading a resource returned: itself, or the parts of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReadResult {
    /// The parts.
    pub contents: Vec<ResourceContents>,
    /// The whole result, with whatever has no field here.
    #[serde(skip)]
    pub raw: RawJson,
}

/// The contents of a resource: a text or bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResourceContents {
    /// The address of what this is.
    pub uri: String,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The text, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes in Base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// Whatever has no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ResourceContents {
    /// The contents as bytes; `None` when the Base64 is none.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.text, &self.blob) {
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, Some(blob)) => STANDARD.decode(blob).ok(),
            (None, None) => Some(Vec::new()),
        }
    }
}

kept_whole!(ResourceDescription, ResourceTemplateDescription, ReadResult);
