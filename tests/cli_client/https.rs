//! https on the command line.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::{PATIENCE, ringmesh, succeeded};

/// An authority's certificate, and the settings of a server whose certificate it signed for `localhost`.
fn identity() -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (pem, Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()))
}

/// The answer to one HTTP request that has come whole.
fn answer(request: &str) -> Option<String> {
    let (_, body) = request.split_once("\r\n\r\n")?;
    let message: Value = serde_json::from_str(body).ok()?;
    let result = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {},
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "secure", "version": "1" } } });
    let body = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string();
    let length = body.len();
    Some(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

#[test]
fn a_server_whose_authority_is_named_is_trusted_and_no_other() {
    let (pem, config) = identity();
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), pem).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let target = format!("https://localhost:{}/mcp", listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut peer = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
            let (mut text, mut chunk) = (String::new(), [0; 4096]);
            while let Ok(length @ 1..) = peer.read(&mut chunk) {
                text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
                if let Some(answer) = answer(&text) {
                    peer.write_all(answer.as_bytes()).unwrap();
                    text.clear();
                }
            }
        }
    });
    let ca_path = ca_file.path().to_str().unwrap();
    let shown = succeeded(&["discover", &target, "--ca-file", ca_path]);
    assert!(shown.starts_with("server    secure 1\n"), "{shown}");
    // An authority that nothing of the server's was signed by.
    let other = identity().0;
    std::fs::write(ca_file.path(), other).unwrap();
    let ended = ringmesh(&["discover", &target, "--ca-file", ca_path]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("trusted authority"), "{}", ended.stderr);
    server.join().unwrap();
}
