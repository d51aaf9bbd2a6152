//! From a message to its answer: the checks of each era and the methods.

pub(crate) mod batch;
pub(crate) mod channel;
pub(crate) mod dispatcher;
pub(crate) mod legacy;
pub(crate) mod modern;
pub(crate) mod options;
pub(crate) mod snapshot;
pub(crate) mod streams;
pub(crate) mod subscriptions;
pub(crate) mod tools_call;
