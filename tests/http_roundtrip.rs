//! Valid requests, made at random from a seed: they come out as they went in, however they are cut.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::fmt::Write;

use ringmesh::fuzzing::Rng;
use ringmesh::http::{HttpLimits, Method, Progress, RequestReader};

/// A request as it was meant.
#[derive(Debug)]
struct Meant {
    method: Method,
    target: String,
    keep_alive: bool,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    wire: Vec<u8>,
}

fn word(rng: &mut Rng, alphabet: &str, longest: usize) -> String {
    (0..1 + rng.below(longest)).map(|_| char::from(alphabet.as_bytes()[rng.below(alphabet.len())])).collect()
}

fn body(rng: &mut Rng) -> Vec<u8> {
    let longest = [1, 16, 400, 20_000][rng.below(4)];
    (0..rng.below(longest)).map(|_| rng.below(256) as u8).collect()
}

/// The body in chunks of random sizes, now and then with an extension, a leading zero or a trailer.
fn chunked(body: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, next) = rest.split_at(1 + rng.below(rest.len().min(3_000)));
        let zeros = "0".repeat(rng.below(3));
        let extension = if rng.below(20) == 0 { ";name=\"a value\"" } else { "" };
        let size =
            if rng.below(2) == 0 { format!("{:x}", chunk.len()) } else { format!("{:X}", chunk.len()) };
        wire.extend_from_slice(format!("{zeros}{size}{extension}\r\n").as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
        rest = next;
    }
    let trailer = if rng.below(3) == 0 { "Digest: sha\r\n" } else { "" };
    wire.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
    wire
}

fn meant(rng: &mut Rng) -> Meant {
    let methods =
        [("GET", Method::Get), ("POST", Method::Post), ("DELETE", Method::Delete), ("PURGE", Method::Other)];
    let (name, method) = methods[rng.below(methods.len())];
    let path = format!("/{}", word(rng, "abcXYZ019-._~%/!$&'()*+,;=:@", 40));
    let query = if rng.below(2) == 0 { format!("?{}", word(rng, "abc=&?/%20", 30)) } else { String::new() };
    let target = path + &query;
    let mut fields = vec![("Host".to_owned(), "example.com:8000".to_owned())];
    for index in 0..rng.below(20) {
        let value = word(rng, "abc XYZ\t019!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", 60);
        fields.push((
            format!("{}-{index}", word(rng, "abcXYZ019!#$%&'*+-.^_`|~", 12)),
            value.trim().to_owned(),
        ));
    }
    let keep_alive = rng.below(8) > 0;
    if !keep_alive {
        fields.push(("cOnnection".to_owned(), "x, Close".to_owned()));
    }
    let body = if method == Method::Get { Vec::new() } else { body(rng) };
    let mut tail = body.clone();
    if rng.below(3) == 0 {
        tail = chunked(&body, rng);
        fields.push(("Transfer-Encoding".to_owned(), "Chunked".to_owned()));
    } else if !body.is_empty() || rng.below(2) == 0 {
        fields.push(("Content-Length".to_owned(), body.len().to_string()));
    }
    let mut head = if rng.below(5) == 0 { "\r\n".to_owned() } else { String::new() };
    write!(head, "{name} {target} HTTP/1.1\r\n").unwrap();
    for (name, value) in &fields {
        let (before, after) = (["", " ", "\t "][rng.below(3)], ["", " ", " \t"][rng.below(3)]);
        write!(head, "{name}:{before}{value}{after}\r\n").unwrap();
    }
    head.push_str("\r\n");
    Meant { method, target, keep_alive, fields, body, wire: [head.into_bytes(), tail].concat() }
}

fn compare(reader: &RequestReader, meant: &Meant) {
    let request = reader.request();
    assert_eq!((request.method, request.target), (meant.method, meant.target.as_str()));
    let (path, query) =
        meant.target.split_once('?').map_or((meant.target.as_str(), None), |(a, b)| (a, Some(b)));
    assert_eq!((request.path, request.query), (path, query));
    assert_eq!(request.keep_alive, meant.keep_alive);
    let fields = meant.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    assert!(request.fields.iter().eq(fields), "{meant:?}");
    assert_eq!(request.fields.host, Some(&b"example.com:8000"[..]));
    assert!(request.body == meant.body, "{} bytes of body, not {}", request.body.len(), meant.body.len());
}

/// Feeds all of `requests` as one stream in pieces of at most `longest` bytes, and compares each as it is ready.
fn round_trip(requests: &[Meant], longest: usize, rng: &mut Rng) {
    let stream: Vec<u8> = requests.iter().flat_map(|request| request.wire.iter().copied()).collect();
    let mut reader = RequestReader::new(HttpLimits::default());
    let mut waiting = requests.iter();
    let mut rest = stream.as_slice();
    while !rest.is_empty() {
        let (piece, next) = rest.split_at(1 + rng.below(longest.min(rest.len())));
        reader.feed(piece);
        rest = next;
        loop {
            match reader.poll() {
                Progress::Ready => compare(&reader, waiting.next().unwrap()),
                Progress::Reject(reject) => panic!("{reject:?}: {requests:?}"),
                _ => break,
            }
            reader.consume();
        }
    }
    assert_eq!(waiting.count(), 0, "some requests never became ready");
    assert_eq!(reader.held_bytes(), 0);
}

#[test]
fn random_requests_come_out_as_they_went_in() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let request = [meant(&mut rng)];
        for longest in [1, 7, 1_000, usize::MAX] {
            round_trip(&request, longest, &mut rng);
        }
    }
}

#[test]
fn pipelines_of_twenty_come_out_in_order() {
    for seed in 0..40 {
        let mut rng = Rng::new(1_000 + seed);
        let requests: Vec<Meant> = (0..20).map(|_| meant(&mut rng)).collect();
        for longest in [50, 5_000, usize::MAX] {
            round_trip(&requests, longest, &mut rng);
        }
    }
}

#[test]
fn a_long_pipeline_in_one_buffer_is_linear_work() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let stream = request.repeat(20_000);
    let mut reader = RequestReader::new(HttpLimits::default());
    let mut served = 0;
    for piece in stream.chunks(64 << 10) {
        reader.feed(piece);
        while reader.poll() == Progress::Ready {
            reader.consume();
            served += 1;
        }
    }
    assert_eq!(served, 20_000);
    assert!(reader.work() < 3 * stream.len() as u64, "{} for {} bytes", reader.work(), stream.len());
}

#[test]
fn a_head_fed_byte_by_byte_is_linear_work() {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(16_000));
    let mut reader = RequestReader::new(HttpLimits::default());
    for byte in head.as_bytes().chunks(1) {
        reader.feed(byte);
        reader.poll();
    }
    assert_eq!(reader.poll(), Progress::Ready);
    assert!(reader.work() < 4 * head.len() as u64, "{} for {} bytes", reader.work(), head.len());
}

#[test]
fn one_byte_chunks_keep_only_their_data() {
    let mut reader = RequestReader::new(HttpLimits::default());
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..10_000 {
        reader.feed(b"1\r\nx\r\n");
        assert_eq!(reader.poll(), Progress::NeedBody { expect_continue: false });
    }
    assert!(reader.buffered() < 10_100 && reader.held_bytes() < 32 << 10, "{}", reader.held_bytes());
    reader.feed(b"0\r\n\r\n");
    assert_eq!(reader.poll(), Progress::Ready);
    assert_eq!(reader.request().body.len(), 10_000);
}
