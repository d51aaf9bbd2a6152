//! What a server offers, as its author describes it.

pub(crate) mod blocking;
pub(crate) mod call_error;
pub(crate) mod catalog;
pub(crate) mod content;
pub(crate) mod handler;
pub(crate) mod pages;
pub(crate) mod registry;
pub(crate) mod registry_handle;
pub(crate) mod reply;
pub(crate) mod tool;
