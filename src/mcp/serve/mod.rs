//! From a message to its answer: the checks of each era and the methods.

pub(crate) mod batch;
pub(crate) mod begin;
pub(crate) mod channel;
pub(crate) mod completion;
pub(crate) mod dispatcher;
pub(crate) mod legacy;
pub(crate) mod methods;
pub(crate) mod modern;
pub(crate) mod options;
pub(crate) mod prompts;
pub(crate) mod resources;
pub(crate) mod snapshot;
pub(crate) mod streams;
pub(crate) mod subscriptions;
pub(crate) mod tools_call;
