//! https: whom the client trusts, and what it says where it does not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use ringmesh::client::http::{HttpOptions, HttpTransport};
use ringmesh::client::{IncomingContent, Transport, TransportError};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ProtocolVersion, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, version,
};

use super::server::Server;
use super::{PATIENCE, ask, on_executor, post};

/// An authority, its file, and the certificates it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(directory.path().join("ca.pem"), pem).unwrap();
        Authority { issuer: Issuer::new(params, key), directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn sign(&self, name: &str, expired: bool) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

type Peer = StreamOwned<ServerConnection, TcpStream>;

/// A TLS server of so many connections, one after the other. A handshake that fails ends its connection.
struct TlsServer {
    addr: SocketAddr,
    thread: JoinHandle<()>,
}

impl TlsServer {
    fn start(
        identity: (CertificateDer<'static>, PrivateKeyDer<'static>),
        connections: usize,
        script: impl Fn(Peer) + Send + 'static,
    ) -> TlsServer {
        Self::start_versions(identity, connections, rustls::ALL_VERSIONS, script)
    }

    fn start_versions(
        identity: (CertificateDer<'static>, PrivateKeyDer<'static>),
        connections: usize,
        versions: &[&'static SupportedProtocolVersion],
        script: impl Fn(Peer) + Send + 'static,
    ) -> TlsServer {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![identity.0], identity.1).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            for _ in 0..connections {
                let (socket, _) = listener.accept().unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut peer = StreamOwned::new(connection, socket);
                if peer.conn.complete_io(&mut peer.sock).is_ok() {
                    script(peer);
                }
            }
        });
        TlsServer { addr, thread }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/mcp", self.addr.port())
    }

    fn join(self) {
        self.thread.join().unwrap();
    }
}

/// One request: its head, and as much of its body as is said there.
fn request(peer: &mut Peer) -> Option<String> {
    let mut text = Vec::new();
    let mut chunk = [0; 16 << 10];
    let mut whole = None;
    while whole.is_none_or(|whole| text.len() < whole) {
        let length = peer.read(&mut chunk).ok().filter(|length| *length > 0)?;
        text.extend_from_slice(&chunk[..length]);
        if whole.is_none()
            && let Some(head) = text.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let lines = String::from_utf8(text[..head].to_vec()).unwrap();
            let length = lines.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            whole = Some(head + 4 + length.map_or(0, |digits| digits.parse::<usize>().unwrap()));
        }
    }
    String::from_utf8(text).ok()
}

fn answer(peer: &mut Peer, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    peer.write_all(head.as_bytes()).unwrap();
    peer.write_all(body.as_bytes()).unwrap();
    peer.flush().unwrap();
}

/// Says goodbye and closes.
fn close(mut peer: Peer) {
    peer.conn.send_close_notify();
    let _ = peer.conn.complete_io(&mut peer.sock);
}

fn trusting(url: &str, ca_file: Option<PathBuf>) -> HttpTransport {
    HttpTransport::new(url, HttpOptions { ca_file, ..HttpOptions::default() }).unwrap()
}

/// What the client says of a server that it must not talk to.
fn refused(url: String, ca_file: Option<PathBuf>) -> String {
    on_executor(move || async move {
        let transport = trusting(&url, ca_file);
        let error = ask(&transport, post("a secret")).await.unwrap_err();
        assert_eq!(transport.open_connections(), 0);
        match error {
            TransportError::Tls(why) => why,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn requests_go_over_an_encrypted_connection_that_is_used_again() {
    let authority = Authority::new();
    let server = TlsServer::start(authority.sign("localhost", false), 1, |mut peer| {
        assert_eq!(peer.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(peer.conn.server_name(), Some("localhost"));
        let mut requests = 0;
        while let Some(text) = request(&mut peer) {
            requests += 1;
            answer(&mut peer, &text.len().to_string());
        }
        assert_eq!(requests, 3);
        assert!(
            matches!(peer.conn.process_new_packets(), Ok(state) if state.peer_has_closed()),
            "no goodbye"
        );
    });
    let (url, ca_file) = (server.url("localhost"), authority.file());
    on_executor(move || async move {
        let transport = trusting(&url, Some(ca_file));
        // The longest takes many records in both directions.
        for length in [2, 1000, 3 << 20] {
            let heard = ask(&transport, post(&"x".repeat(length))).await.unwrap();
            assert!(heard.parse::<usize>().unwrap() > length);
        }
        assert_eq!(transport.open_connections(), 1);
        transport.close().await;
    });
    server.join();
}

#[test]
fn large_bodies_and_event_streams_come_decrypted() {
    let authority = Authority::new();
    let server = TlsServer::start(authority.sign("127.0.0.1", false), 1, |mut peer| {
        request(&mut peer).unwrap();
        answer(&mut peer, &"y".repeat(5 << 20));
        request(&mut peer).unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.write_all(format!("{head}9\r\ndata: a\n\n\r\n").as_bytes()).unwrap();
        peer.write_all(b"0\r\n\r\n").unwrap();
        while request(&mut peer).is_some() {}
    });
    let (url, ca_file) = (server.url("127.0.0.1"), authority.file());
    on_executor(move || async move {
        let transport = trusting(&url, Some(ca_file));
        assert_eq!(ask(&transport, post("")).await.unwrap().len(), 5 << 20);
        let IncomingContent::Events(mut events) = transport.exchange(post("")).await.unwrap().content else {
            panic!("no event stream")
        };
        assert_eq!(events.next().await.unwrap().unwrap().data, b"a");
        assert_eq!(events.next().await, None);
        assert_eq!(transport.open_connections(), 1);
    });
    server.join();
}

#[test]
fn both_versions_of_tls_are_spoken() {
    let authority = Authority::new();
    for version in [&version::TLS12, &version::TLS13] {
        let identity = authority.sign("localhost", false);
        let server = TlsServer::start_versions(identity, 1, &[version], |mut peer| {
            let spoken = peer.conn.protocol_version();
            while request(&mut peer).is_some() {
                answer(&mut peer, if spoken == Some(ProtocolVersion::TLSv1_2) { "1.2" } else { "1.3" });
            }
        });
        let (url, ca_file) = (server.url("localhost"), authority.file());
        let spoken = on_executor(move || async move { ask(&trusting(&url, Some(ca_file)), post("")).await });
        let expected = if version.version == ProtocolVersion::TLSv1_2 { "1.2" } else { "1.3" };
        assert_eq!(spoken.as_deref(), Ok(expected));
        server.join();
    }
}

#[test]
fn a_handshake_that_does_not_end_is_given_up() {
    let server = Server::start(|mut peer| {
        peer.closed_silently();
    });
    let (url, authority) = (format!("https://{}/", server.addr), Authority::new());
    on_executor(move || async move {
        let options = HttpOptions {
            connect_timeout: Duration::from_millis(100),
            ca_file: Some(authority.file()),
            ..HttpOptions::default()
        };
        let transport = HttpTransport::new(&url, options).unwrap();
        let late = ask(&transport, post("")).await;
        assert!(
            matches!(late, Err(TransportError::Timeout { what }) if what.contains("handshake")),
            "{late:?}"
        );
        assert_eq!(transport.open_connections(), 0);
    });
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server =
        TlsServer::start(authority.sign("localhost", false), 2, |_| panic!("a handshake came about"));
    let why = refused(server.url("localhost"), Some(other.file()));
    assert!(why.contains("trusted authority"), "{why}");
    // Nor is it trusted with the system's authorities alone, where the system has any.
    let alone = HttpTransport::new(&server.url("localhost"), HttpOptions::default());
    match alone {
        Ok(_) => assert!(refused(server.url("localhost"), None).contains("trusted authority")),
        Err(error) => {
            assert!(error.to_string().contains("authority"), "{error}");
            drop(TcpStream::connect(server.addr));
        }
    }
    server.join();
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server =
        TlsServer::start(authority.sign("example.org", false), 2, |_| panic!("a handshake came about"));
    let why = refused(server.url("localhost"), Some(authority.file()));
    assert!(why.contains("not valid for name"), "{why}");
    let why = refused(server.url("127.0.0.1"), Some(authority.file()));
    assert!(why.contains("not valid for name"), "{why}");
    server.join();
}

#[test]
fn a_certificate_past_its_time_is_refused() {
    let authority = Authority::new();
    let server = TlsServer::start(authority.sign("localhost", true), 1, |_| panic!("a handshake came about"));
    let why = refused(server.url("localhost"), Some(authority.file()));
    assert!(why.contains("expired"), "{why}");
    server.join();
}

#[test]
fn an_end_without_goodbye_is_no_end() {
    let authority = Authority::new();
    let server = TlsServer::start(authority.sign("localhost", false), 2, |mut peer| {
        let whole = request(&mut peer).unwrap().ends_with("whole");
        peer.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end").unwrap();
        peer.flush().unwrap();
        if whole {
            close(peer);
        }
    });
    let (url, ca_file) = (server.url("localhost"), authority.file());
    on_executor(move || async move {
        let transport = trusting(&url, Some(ca_file));
        assert_eq!(ask(&transport, post("whole")).await.unwrap(), "to the end");
        let cut = ask(&transport, post("cut")).await;
        assert_eq!(cut, Err(TransportError::Closed { before_answer: false }));
    });
    server.join();
}

#[test]
fn a_plain_server_behind_https_is_named_as_such() {
    let server = Server::start(|mut peer| {
        let mut hello = [0; 5];
        peer.socket.read_exact(&mut hello).unwrap();
        peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let why = refused(format!("https://{}/", server.addr), Some(Authority::new().file()));
    assert!(why.contains("does not speak TLS"), "{why}");
}

#[test]
fn a_server_that_hangs_up_in_the_handshake_is_named_as_such() {
    let server = Server::start(|mut peer| {
        let mut hello = [0; 5];
        peer.socket.read_exact(&mut hello).unwrap();
        let _ = peer.socket.shutdown(std::net::Shutdown::Write);
        peer.closed_silently();
    });
    let why = refused(format!("https://{}/", server.addr), Some(Authority::new().file()));
    assert!(why.contains("in the middle of the handshake"), "{why}");
}

#[test]
fn a_bad_ca_file_is_said_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not.pem");
    let refuse = |what: &str| {
        let options = HttpOptions { ca_file: Some(path.clone()), ..HttpOptions::default() };
        let error = HttpTransport::new("https://localhost/", options).unwrap_err().to_string();
        assert!(error.contains("not.pem") && error.contains(what), "{error}");
    };
    refuse("cannot read");
    std::fs::write(&path, "hello").unwrap();
    refuse("no PEM certificate");
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    refuse("not a file of PEM certificates");
    // http needs no authorities.
    let options = HttpOptions { ca_file: Some(path), ..HttpOptions::default() };
    assert!(HttpTransport::new("http://localhost/", options).is_ok());
}
