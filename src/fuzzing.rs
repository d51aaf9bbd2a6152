//! What the fuzz targets and the smoke test run: each function takes any bytes and panics when an invariant is broken.
//!
//! Not part of the public interface.

use crate::http::client::{Asked, EventReader, ResponseReader, ServerEvent, Step};
use crate::http::{HttpLimits, Progress, Reject, RequestReader};
use crate::p2p::frame::{FrameError, FrameReader};

/// Small limits, so that short inputs go over them.
const LIMITS: HttpLimits = HttpLimits { head_bytes: 1024, headers: 16, body_bytes: 2048 };
/// Bytes that a reader may look at or move for each byte fed.
const MAX_WORK_PER_BYTE: u64 = 4;

/// A small seeded generator, so that every run sees the same inputs.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator for one seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// What a reader made of some bytes: the same for every way of cutting them.
#[derive(Debug, PartialEq, Eq)]
struct Transcript {
    requests: Vec<String>,
    bodies: Vec<Vec<u8>>,
    /// The refusal that ended the connection, or nothing while it lives.
    end: Option<Reject>,
    /// Bytes left over, when it lives.
    left: usize,
}

/// Feeds `bytes` in pieces of the sizes that `next_cut` gives, polls after each, and keeps the invariants.
fn read(bytes: &[u8], mut next_cut: impl FnMut() -> usize) -> Transcript {
    let mut reader = RequestReader::new(LIMITS);
    let mut transcript = Transcript { requests: Vec::new(), bodies: Vec::new(), end: None, left: 0 };
    let (mut fed, mut polls) = (0, 0);
    while fed < bytes.len() && transcript.end.is_none() {
        let piece = next_cut().clamp(1, bytes.len() - fed);
        reader.feed(&bytes[fed..fed + piece]);
        fed += piece;
        polls += drain(&mut reader, &mut transcript);
        assert!(reader.buffered() <= fed, "more bytes are held than were fed");
        let most = MAX_WORK_PER_BYTE * (fed as u64 + polls);
        assert!(reader.work() <= most, "{} bytes looked at for {fed} fed in {polls} polls", reader.work());
    }
    transcript.left = reader.buffered();
    if reader.buffered() == 0 {
        assert_eq!(reader.held_bytes(), 0, "an empty reader holds a buffer");
    }
    transcript
}

/// Takes every request that is complete; returns how often it polled.
fn drain(reader: &mut RequestReader, transcript: &mut Transcript) -> u64 {
    for polls in 1.. {
        match reader.poll() {
            Progress::Ready => {
                let request = reader.request();
                let fields = request.fields;
                assert!(request.path.starts_with('/') || request.path == "*", "{:?}", request.path);
                assert!(request.http_1_0 || fields.host.is_some(), "HTTP/1.1 without a Host");
                assert!(fields.iter().count() <= LIMITS.headers && request.body.len() <= LIMITS.body_bytes);
                let all: Vec<_> = fields.iter().map(|(name, value)| (name, value.to_vec())).collect();
                let (method, target, alive) = (request.method, request.target, request.keep_alive);
                transcript.requests.push(format!("{method:?} {target} {alive} {:?} {all:?}", fields.accept));
                transcript.bodies.push(request.body.to_vec());
            }
            Progress::Reject(reject) => {
                assert!((400..=599).contains(&reject.status) && !reject.code.is_empty());
                if reject.close {
                    transcript.end = Some(reject);
                    return polls;
                }
                transcript.requests.push(format!("refused {}", reject.code));
            }
            Progress::NeedHead { .. } | Progress::NeedBody { .. } => return polls,
        }
        let before = reader.buffered();
        reader.consume();
        assert!(reader.buffered() < before, "a request of no bytes");
    }
    0
}

/// Any bytes as the input of one connection: no panic, linear work, and one result however they are cut.
pub fn request_head(data: &[u8]) {
    let whole = read(data, || usize::MAX);
    assert_eq!(read(data, || 1), whole, "byte by byte");
    let mut rng = Rng::new(data.len() as u64 + data.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    assert_eq!(read(data, || 1 + rng.below(40)), whole, "at random cuts");
}

/// Any bytes as a chunked body: as [`request_head`], and what is accepted is what a plain reading of the grammar accepts.
pub fn chunked_body(data: &[u8]) {
    let mut bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    bytes.extend_from_slice(data);
    request_head(&bytes);
    let transcript = read(&bytes, || usize::MAX);
    let body = transcript.bodies.first();
    if let Some((expected, _)) = decode_chunks(data)
        && expected.len() <= LIMITS.body_bytes
    {
        let refused = transcript
            .end
            .is_some_and(|reject| reject.status == 431 || reject.message.contains("extensions"));
        assert!(refused || body == Some(&expected), "a valid body is read otherwise");
    } else {
        assert_eq!(body, None, "an invalid or endless body is accepted");
    }
}

/// The grammar of RFC 9112, 7.1, read line by line, without limits. Returns the data and the bytes it took.
fn decode_chunks(data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut at, mut body) = (0, Vec::new());
    let line = |at: &mut usize| {
        let length = data[*at..].windows(2).position(|pair| pair == b"\r\n")?;
        let text = &data[*at..*at + length];
        *at += length + 2;
        let clean = text.iter().all(|byte| matches!(byte, b'\t' | b' '..=0x7e | 0x80..));
        clean.then_some(text)
    };
    loop {
        let size_line = line(&mut at)?;
        let digits = size_line.split(|byte| *byte == b';').next()?;
        if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size).filter(|end| *end <= data.len())?;
        body.extend_from_slice(&data[at..end]);
        at = end;
        if !line(&mut at)?.is_empty() {
            return None;
        }
    }
    loop {
        match line(&mut at)? {
            [] => return Some((body, at)),
            trailer => {
                let name = &trailer[..trailer.iter().position(|byte| *byte == b':')?];
                let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
                if name.is_empty() || !name.iter().all(is_token) {
                    return None;
                }
            }
        }
    }
}

/// Any bytes as the body of a POST, from a client of each era: no panic, and every answer is sound.
pub fn json_rpc_envelope(data: &[u8]) {
    crate::mcp::fuzz::fuzz_envelope(data);
}

/// Reads one answer, fed in pieces of the sizes that `next_cut` gives, with the connection ending after the last:
/// status, body and whether the connection may be used again. `None` where it is refused.
fn read_answer(bytes: &[u8], mut next_cut: impl FnMut() -> usize) -> Option<(u16, Vec<u8>, bool)> {
    let mut reader = ResponseReader::new(Asked::Other, LIMITS);
    let (mut body, mut rest, mut step) = (Vec::new(), bytes, Step::More);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(next_cut().clamp(1, rest.len()));
        rest = after;
        reader.feed(piece);
        loop {
            step = reader.poll().ok()?;
            match step {
                Step::Head => assert!(reader.head().is_some(), "a head is told and not there"),
                Step::Data => body.extend(reader.take_data()),
                Step::More | Step::End => break,
            }
        }
        assert!(body.len() <= LIMITS.body_bytes && body.len() <= bytes.len(), "a body over its limit");
    }
    if step != Step::End {
        reader.end_of_input().ok()?;
    }
    let head = reader.head()?;
    assert!((200..=599).contains(&head.status), "an interim answer is told as the last");
    Some((head.status, body, step == Step::End && reader.is_reusable()))
}

/// Any bytes as an answer: no panic, within the limits, and one result however they are cut.
pub fn http_answer(data: &[u8]) {
    let whole = read_answer(data, || usize::MAX);
    assert_eq!(read_answer(data, || 1), whole, "byte by byte");
    let mut rng = Rng::new(data.len() as u64);
    assert_eq!(read_answer(data, || 1 + rng.below(40)), whole, "at random cuts");
}

/// Reads events, fed in pieces of the sizes that `next_cut` gives. `None` where one is too large.
fn read_events(bytes: &[u8], mut next_cut: impl FnMut() -> usize) -> Option<Vec<ServerEvent>> {
    const MAX_EVENT_BYTES: usize = 256;
    let mut reader = EventReader::new(MAX_EVENT_BYTES);
    let (mut events, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at(next_cut().clamp(1, rest.len()));
        rest = after;
        while let Some(event) = reader.read(&mut piece).ok()? {
            assert!(event.data.as_ref().is_none_or(|data| data.len() <= MAX_EVENT_BYTES));
            assert!(event.id.as_ref().is_none_or(|id| !id.contains(['\0', '\r', '\n'])));
            events.push(event);
        }
        assert!(piece.is_empty(), "bytes are left unread");
    }
    Some(events)
}

/// Any bytes as an event stream: as [`http_answer`], and the same for each kind of line end.
pub fn event_stream(data: &[u8]) {
    let whole = read_events(data, || usize::MAX);
    assert_eq!(read_events(data, || 1), whole, "byte by byte");
    let mut rng = Rng::new(data.len() as u64);
    assert_eq!(read_events(data, || 1 + rng.below(40)), whole, "at random cuts");
    // Every line end is a line end: written as CRLF or as CR, the same events come.
    if !data.contains(&b'\r') {
        let lines: Vec<_> = data.split(|byte| *byte == b'\n').collect();
        assert_eq!(read_events(&lines.join(&b"\r\n"[..]), || 7), whole, "with CRLF");
        assert_eq!(read_events(&lines.join(&b"\r"[..]), || 7), whole, "with CR");
    }
}

/// Any bytes as an answer to a client.
pub fn client_answer(data: &[u8]) {
    crate::client::protocol::fuzz::fuzz_answer(data);
}

/// Any bytes as an identify message: no panic, within the bounds, and what was read is written and read as itself.
pub fn identify_message(data: &[u8]) {
    use crate::p2p::identify::{Info, MAX_ADDRESSES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, MAX_PROTOCOLS};
    let Ok(info) = Info::decode(data) else { return };
    assert!(data.len() <= MAX_MESSAGE_BYTES);
    assert!(info.listen_addrs.len() <= MAX_ADDRESSES && info.protocols.len() <= MAX_PROTOCOLS);
    let texts = info.protocols.iter().chain(&info.agent_version).chain(&info.protocol_version);
    assert!(texts.clone().all(|text| text.len() <= MAX_NAME_BYTES));
    for address in info.listen_addrs.iter().chain(&info.observed_addr) {
        // What peers claim is shown and judged, whatever it is.
        let _ = (address.to_string(), crate::p2p::address::Endpoint::of(address));
    }
    let written = info.encode();
    assert!(written.len() <= data.len() + 4, "it grows");
    let length = written.iter().position(|byte| byte & 0x80 == 0).map_or(0, |at| at + 1);
    assert_eq!(Info::decode(&written[length..]).ok(), Some(info));
}

/// Any bytes as the text of a multiaddr and of a peer id: no panic, and what can be dialled is written and read as
/// itself.
pub fn multiaddr_text(data: &[u8]) {
    use crate::p2p::address::{
        Endpoint, PeerAddress, cid, listen_address, multiaddr, peer_id, read_multiaddr,
    };
    let text = String::from_utf8_lossy(data);
    if let Ok(id) = peer_id(&text) {
        assert_eq!((peer_id(&id.to_base58()), peer_id(&cid(&id))), (Ok(id), Ok(id)));
    }
    if let Ok(address) = listen_address(&text) {
        assert!(listen_address(&multiaddr(address).to_string()).is_ok());
    }
    if let Ok(address) = read_multiaddr(&text)
        && Endpoint::of(&address).is_ok()
    {
        assert_eq!(read_multiaddr(&address.to_string()), Ok(address));
    }
    if let Ok(address) = text.parse::<PeerAddress>() {
        assert!(address.endpoint().is_ok_and(|endpoint| endpoint.port() != 0));
        assert_eq!(address.to_string().parse(), Ok(address));
    }
}

/// Frames of `/mcp+p2p/1.0.0`: the same however the bytes are cut, in memory that grows with what came.
pub fn peer_frames(data: &[u8]) {
    let whole = read_frames(data, || usize::MAX);
    let mut rng = Rng::new(data.len() as u64);
    assert_eq!(read_frames(data, || 1 + rng.below(7)), whole, "the result depends on the cuts");
    assert_eq!(read_frames(data, || 1), whole, "the result depends on the cuts");
}

fn read_frames(data: &[u8], mut next_cut: impl FnMut() -> usize) -> (Vec<Vec<u8>>, Option<FrameError>, bool) {
    const MAX_FRAME: u64 = 1024;
    let mut reader = FrameReader::new(MAX_FRAME);
    let (mut frames, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        let (mut input, others) = rest.split_at(next_cut().min(rest.len()));
        let piece = input.len();
        rest = others;
        loop {
            match reader.next(&mut input) {
                Ok(Some(frame)) => {
                    assert!(!frame.is_empty() && frame.len() as u64 <= MAX_FRAME);
                    frames.push(frame.to_vec());
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error), false),
            }
        }
        let came = data.len() - rest.len();
        assert!(input.is_empty() && reader.held_bytes() <= (2 * came).max(piece), "memory ran ahead");
    }
    (frames, None, reader.is_midway())
}

/// Messages of a peer, one a line.
pub fn peer_messages(data: &[u8]) {
    crate::mcp::peer::fuzz::fuzz_messages(data);
}

/// Messages that a peer sends to a client, one a line: each reaches whom it is for, and no more wait than may.
pub fn client_peer_messages(data: &[u8]) {
    crate::client::p2p::fuzz::fuzz_messages(data);
}

/// Any bytes as a request of the task queue RPC: one line however they are cut, and an answer that any peer can read.
pub fn task_queue_request(data: &[u8]) {
    crate::p2p::task_queue::fuzz::fuzz_request(data);
}

/// A heartbeat's field `workflow`, a line break, and an answer to `workflow.fetch`, from a peer.
pub fn workflow_page(data: &[u8]) {
    crate::scheduler::fuzz::fuzz_page(data);
}
