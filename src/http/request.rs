//! One request as its handler sees it.

use super::fields::Fields;

/// A request method (RFC 9110, 9). Methods are case-sensitive; what the server has no use for is `Other`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// Any other token.
    #[default]
    Other,
}

impl Method {
    /// Reads a method; anything unknown is [`Method::Other`].
    pub fn from_bytes(name: &[u8]) -> Method {
        match name {
            b"POST" => Method::Post,
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"PUT" => Method::Put,
            b"PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }

    /// The method's name, as a label for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Other => "OTHER",
        }
    }
}

/// A complete request. It borrows from the reader, until [`super::RequestReader::consume`].
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The request target as it was sent: visible ASCII.
    pub target: &'a str,
    /// The path of the target, not percent-decoded: starts with `/`, or is `*` for `OPTIONS *`.
    pub path: &'a str,
    /// What follows the first `?`, when there is one.
    pub query: Option<&'a str>,
    /// True for HTTP/1.0, which knows neither chunks nor interim answers.
    pub http_1_0: bool,
    /// True when the client lets the connection live on after the answer.
    pub keep_alive: bool,
    /// The header fields.
    pub fields: Fields<'a>,
    /// The whole body, decoded; empty when there is none.
    pub body: &'a [u8],
}
