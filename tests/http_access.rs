//! Host, Origin and CORS, through the reader as a request brings them.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::net::{IpAddr, SocketAddr};

use ringmesh::http::{
    AccessError, AccessOptions, AccessPolicy, HttpLimits, Progress, RequestReader, ResponseHead,
    write_options,
};

struct Setup {
    bound: Vec<SocketAddr>,
    machine: Vec<IpAddr>,
    hosts: Vec<String>,
    origins: Vec<String>,
    authentication: bool,
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|entry| (*entry).to_owned()).collect()
}

fn setup(bound: &str, hosts: &[&str], origins: &[&str]) -> Setup {
    Setup {
        bound: vec![bound.parse().unwrap()],
        machine: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        hosts: strings(hosts),
        origins: strings(origins),
        authentication: false,
    }
}

impl Setup {
    fn policy(&self) -> Result<AccessPolicy, AccessError> {
        AccessPolicy::new(&AccessOptions {
            bound: &self.bound,
            machine_addresses: &self.machine,
            allowed_hosts: &self.hosts,
            cors_origins: &self.origins,
            authentication: self.authentication,
        })
    }
}

/// Ok with the granted origin, or the refusal's code.
fn ask(policy: &AccessPolicy, host: &str, origin: Option<&str>) -> Result<Option<String>, &'static str> {
    let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    let mut reader = RequestReader::new(HttpLimits::default());
    reader.feed(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n").as_bytes());
    assert_eq!(reader.poll(), Progress::Ready, "{host}");
    let checked = policy.check(&reader.request().fields);
    checked.map(|grant| grant.origin.map(str::to_owned)).map_err(|reject| {
        assert_eq!(reject.status, 403);
        assert!(!reject.close);
        reject.code
    })
}

fn ask_host(policy: &AccessPolicy, host: &str) -> bool {
    ask(policy, host, None).is_ok()
}

#[test]
fn loopback_names_are_served_and_lookalikes_are_not() {
    let policy = setup("127.0.0.1:8000", &[], &[]).policy().unwrap();
    for host in
        ["localhost", "LocalHost:8000", "127.0.0.1", "127.0.0.1:9", "127.9.8.7", "[::1]", "[::1]:8000"]
    {
        assert!(ask_host(&policy, host), "{host}");
    }
    let bad = [
        "localhost.evil.com",
        "evil.com",
        "localhost.",
        "127.0.0.1.evil.com",
        "xlocalhost",
        "192.0.2.7",
        "0.0.0.0",
    ];
    for host in
        bad.into_iter().chain(["127.1", "2130706433", "0x7f000001", "[::]", "[2001:db8::7]", "128.0.0.1"])
    {
        assert_eq!(ask(&policy, host, None), Err("host_not_allowed"), "{host}");
    }
    assert_eq!(policy.advice(), None);
}

#[test]
fn a_bound_address_is_served_and_its_neighbours_are_not() {
    let policy = setup("192.0.2.9:8000", &[], &[]).policy().unwrap();
    assert!(
        ask_host(&policy, "192.0.2.9:8000")
            && ask_host(&policy, "192.0.2.9")
            && ask_host(&policy, "localhost")
    );
    assert!(!ask_host(&policy, "192.0.2.7") && !ask_host(&policy, "192.0.2.90"));
}

#[test]
fn a_wildcard_stands_for_the_machine_until_a_host_is_named() {
    let guess = setup("0.0.0.0:8000", &[], &[]).policy().unwrap();
    assert!(ask_host(&guess, "192.0.2.7:8000") && ask_host(&guess, "[2001:db8:0::7]"));
    assert!(!ask_host(&guess, "0.0.0.0:8000") && !ask_host(&guess, "example.com"));
    assert!(guess.advice().unwrap().contains("--allowed-host NAME"), "{:?}", guess.advice());
    let named = setup("[::]:8000", &["Example.com"], &[]).policy().unwrap();
    assert!(ask_host(&named, "example.COM:1234") && !ask_host(&named, "192.0.2.7"));
    assert_eq!(named.advice(), None);
}

#[test]
fn an_allowed_host_with_a_port_is_that_port_only() {
    let policy = setup("127.0.0.1:8000", &["a.example:8443", "[2001:db8::1]"], &[]).policy().unwrap();
    assert!(ask_host(&policy, "a.example:8443") && ask_host(&policy, "[2001:DB8::1]:5"));
    for host in ["a.example", "a.example:8444", "b.a.example:8443", "a.example.evil:8443"] {
        assert!(!ask_host(&policy, host), "{host}");
    }
}

#[test]
fn a_refused_host_is_told_which_option_admits_it() {
    let policy = setup("127.0.0.1:8000", &[], &[]).policy().unwrap();
    let mut reader = RequestReader::new(HttpLimits::default());
    reader.feed(b"GET / HTTP/1.1\r\nHost: mcp.example:8000\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    assert_eq!(reader.poll(), Progress::Ready);
    let reject = policy.check(&reader.request().fields).unwrap_err();
    assert!(reject.message.contains("--allowed-host mcp.example:8000"), "{}", reject.message);
    assert!(reject.message.contains("MCP_ALLOWED_HOSTS="), "{}", reject.message);
    reader.consume();
    assert_eq!(reader.poll(), Progress::Ready);
    assert_eq!(policy.check(&reader.request().fields).unwrap_err().code, "host_not_allowed");
}

#[test]
fn pages_of_this_machine_and_listed_origins_may_call() {
    let policy =
        setup("127.0.0.1:8000", &["a.example"], &["https://App.example", "chrome-extension://abc"]).policy();
    let policy = policy.unwrap();
    for (host, origin) in [
        ("localhost:8000", "http://localhost:6274"),
        ("localhost:8000", "https://127.0.0.1:1"),
        ("localhost:8000", "http://[::1]:3000"),
        ("a.example:8000", "http://a.example:8000"),
        ("a.example", "https://a.example"),
        ("localhost", "https://a.example:443"),
        ("localhost", "https://app.example:443"),
        ("localhost", "https://app.example"),
        ("localhost", "chrome-extension://abc"),
    ] {
        assert_eq!(ask(&policy, host, Some(origin)), Ok(Some(origin.to_owned())), "{origin}");
    }
    for (origin, code) in [
        ("null", "origin_null"),
        ("http://app.example", "origin_not_allowed"),
        ("https://app.example:444", "origin_not_allowed"),
        ("https://app.example.evil.com", "origin_not_allowed"),
        ("https://localhost.evil.com", "origin_not_allowed"),
        ("http://evil.com", "origin_not_allowed"),
        ("http://a.example:9000", "origin_not_allowed"),
        ("chrome-extension://abd", "origin_not_allowed"),
        ("ftp://localhost", "origin_not_allowed"),
        ("http://localhost/", "bad_origin"),
        ("http://localhost@evil.com", "bad_origin"),
        ("localhost", "bad_origin"),
        ("http://", "bad_origin"),
        ("http://a http://b", "bad_origin"),
        ("", "bad_origin"),
        ("NULL", "bad_origin"),
    ] {
        assert_eq!(ask(&policy, "localhost:8000", Some(origin)), Err(code), "{origin}");
    }
}

#[test]
fn any_origin_needs_authentication() {
    let mut setup = setup("127.0.0.1:8000", &[], &["*"]);
    assert_eq!(setup.policy().unwrap_err(), AccessError::AnyOriginWithoutAuthentication);
    assert!(setup.policy().unwrap_err().to_string().contains("authentication"));
    setup.authentication = true;
    let policy = setup.policy().unwrap();
    assert_eq!(ask(&policy, "localhost", Some("https://x.example")), Ok(Some("https://x.example".into())));
    assert_eq!(ask(&policy, "localhost", Some("null")), Err("origin_null"));
    assert_eq!(ask(&policy, "evil.com", Some("https://x.example")), Err("host_not_allowed"));
}

#[test]
fn entries_that_cannot_be_read_are_named() {
    for host in ["*", "http://a", "a b", "a:b", "*.example.com", ""] {
        assert_eq!(
            setup("127.0.0.1:1", &[host], &[]).policy().unwrap_err(),
            AccessError::BadHost(host.into())
        );
    }
    for origin in ["null", "example.com", "https://*.example.com", "https://a/", ""] {
        assert_eq!(
            setup("127.0.0.1:1", &[], &[origin]).policy().unwrap_err(),
            AccessError::BadOrigin(origin.into())
        );
    }
}

fn options(headers: &str) -> String {
    let policy = setup("127.0.0.1:8000", &[], &[]).policy().unwrap();
    let mut reader = RequestReader::new(HttpLimits::default());
    reader.feed(format!("OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes());
    assert_eq!(reader.poll(), Progress::Ready);
    let fields = reader.request().fields;
    let grant = policy.check(&fields).unwrap();
    let mut out = Vec::new();
    write_options(&mut out, &fields, grant, "GET, POST, DELETE, OPTIONS", &ResponseHead::default());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_preflight_learns_methods_headers_and_how_long() {
    let answer = options(
        "Origin: http://localhost:6274\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type,Mcp-Param-City,mcp-param-b\"d,x-evil\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    assert!(answer.contains("\r\nAccess-Control-Allow-Origin: http://localhost:6274\r\n"), "{answer}");
    assert!(answer.contains("\r\nAccess-Control-Allow-Methods: GET, POST, DELETE, OPTIONS\r\n"), "{answer}");
    let headers = answer.lines().find(|line| line.starts_with("Access-Control-Allow-Headers")).unwrap();
    for name in [
        "Content-Type",
        "Authorization",
        "MCP-Protocol-Version",
        "Mcp-Session-Id",
        "Last-Event-ID",
        "Mcp-Param-City",
    ] {
        assert!(headers.contains(name), "{name}: {headers}");
    }
    assert!(!headers.contains("x-evil") && !headers.contains('"'), "{headers}");
    assert!(
        answer.contains("\r\nAccess-Control-Max-Age: 600\r\n") && answer.contains("\r\nVary: Origin\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("Content-Length") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn plain_options_names_the_methods() {
    let answer = options("");
    assert_eq!(answer, "HTTP/1.1 204 No Content\r\nAllow: GET, POST, DELETE, OPTIONS\r\n\r\n");
}
