//! Reads server-sent events (the event stream of the WHATWG HTML standard, 9.2.6).

use super::fault::ResponseFault;

/// The byte order mark that one stream may start with.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event. Fields that it did not have are absent; nothing is carried over from earlier events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// `id:`; an empty one resets the last id.
    pub id: Option<String>,
    /// `event:`.
    pub name: Option<String>,
    /// `retry:`, in milliseconds.
    pub retry_ms: Option<u64>,
    /// The `data:` lines, joined by line feeds, as they were sent: not checked to be UTF-8. `None` without such a line.
    pub data: Option<Vec<u8>>,
}

/// Reads events from the bytes of one stream, however they are cut. Its work is linear, and what it holds is bounded.
#[derive(Debug)]
pub struct EventReader {
    max_event_bytes: usize,
    /// The line so far, without a comment's text.
    line: Vec<u8>,
    in_comment: bool,
    /// The last line ended in CR, so that an LF now belongs to it.
    after_cr: bool,
    /// No line has ended yet.
    first_line: bool,
    event: ServerEvent,
    /// Bytes of the fields in `event`.
    event_bytes: usize,
}

impl EventReader {
    /// A reader for one stream, of events of at most this many bytes, field names among them.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            line: Vec::new(),
            in_comment: false,
            after_cr: false,
            first_line: true,
            event: ServerEvent::default(),
            event_bytes: 0,
        }
    }

    /// Reads on until an event is complete or `input` is used up, and moves `input` to what was not read.
    ///
    /// An event without data is told when it has an id or a pause, which count without data as well. An event that the
    /// stream's end cuts off is none.
    ///
    /// # Errors
    /// [`ResponseFault::TooLarge`]; the reader is of no use afterwards.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<ServerEvent>, ResponseFault> {
        while let Some(first) = input.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                *input = &input[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\r', b'\n', input) else {
                self.push(input)?;
                *input = &[];
                return Ok(None);
            };
            self.push(&input[..end])?;
            self.after_cr = input[end] == b'\r';
            *input = &input[end + 1..];
            if let Some(event) = self.end_of_line() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), ResponseFault> {
        self.in_comment |= self.line.is_empty() && bytes.first() == Some(&b':');
        if self.in_comment {
            return Ok(());
        }
        if self.line.len() + bytes.len() + self.event_bytes > self.max_event_bytes {
            let max = self.max_event_bytes as u64;
            return Err(ResponseFault::TooLarge { limit: "max_event_bytes", max });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the line into the event; an empty line ends the event.
    fn end_of_line(&mut self) -> Option<ServerEvent> {
        let mut line = std::mem::take(&mut self.line);
        let comment = std::mem::take(&mut self.in_comment);
        if std::mem::take(&mut self.first_line) && line.starts_with(BOM) {
            line.drain(..BOM.len());
        }
        if line.is_empty() && !comment {
            self.event_bytes = 0;
            let event = std::mem::take(&mut self.event);
            let counts = event.data.is_some() || event.id.is_some() || event.retry_ms.is_some();
            return counts.then_some(event);
        }
        self.take_field(&line);
        line.clear();
        self.line = line;
        None
    }

    fn take_field(&mut self, line: &[u8]) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut self.event.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                none => *none = Some(value.to_vec()),
            },
            b"event" => self.event.name = Some(String::from_utf8_lossy(value).into_owned()),
            b"id" if !value.contains(&0) => {
                self.event.id = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let digits = std::str::from_utf8(value).unwrap_or_default();
                self.event.retry_ms = digits.parse().ok().or(self.event.retry_ms);
            }
            _ => return,
        }
        self.event_bytes += line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(reader: &mut EventReader, mut input: &[u8]) -> Result<Vec<ServerEvent>, ResponseFault> {
        let mut events = Vec::new();
        loop {
            match reader.read(&mut input)? {
                Some(event) => events.push(event),
                None => return Ok(events),
            }
        }
    }

    fn events(stream: &str) -> Vec<ServerEvent> {
        let whole = read_all(&mut EventReader::new(1000), stream.as_bytes()).unwrap();
        for cut in 0..=stream.len() {
            let mut reader = EventReader::new(1000);
            let mut cut_up = read_all(&mut reader, &stream.as_bytes()[..cut]).unwrap();
            cut_up.extend(read_all(&mut reader, &stream.as_bytes()[cut..]).unwrap());
            assert_eq!(cut_up, whole, "cut at {cut}");
        }
        let mut reader = EventReader::new(1000);
        let bytewise = stream.as_bytes().iter().flat_map(|byte| read_all(&mut reader, &[*byte]).unwrap());
        assert_eq!(bytewise.collect::<Vec<_>>(), whole, "byte by byte");
        whole
    }

    fn data(text: &str) -> ServerEvent {
        ServerEvent { data: Some(text.as_bytes().to_vec()), ..ServerEvent::default() }
    }

    #[test]
    fn every_line_end_ends_a_line_and_a_mixture_as_well() {
        for stream in ["data: a\ndata: b\n\n", "data: a\r\ndata: b\r\n\r\n", "data: a\rdata: b\r\r"] {
            assert_eq!(events(stream), [data("a\nb")], "{stream:?}");
        }
        assert_eq!(events("data: a\r\n\rdata: b\n\r\ndata: c\r\n\n"), [data("a"), data("b"), data("c")]);
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        assert_eq!(events("\u{feff}data:a\n\n\u{feff}data: b\n\n"), [data("a")]);
        assert_eq!(events("data\n\ndata\ndata\n\ndata:\n"), [data(""), data("\n")]);
        assert_eq!(events("data:  two \n:comment\n: data: no\nother: x\nData: y\n\n"), [data(" two ")]);
        let full = ServerEvent {
            id: Some("7".into()),
            name: Some("message".into()),
            retry_ms: Some(300),
            data: Some(b"{}".to_vec()),
        };
        assert_eq!(events("event: message\nid: 7\nretry: 300\ndata: {}\n\n"), [full]);
        assert_eq!(events(": ping\n\n:\n\nevent: nothing\n\n"), []);
    }

    #[test]
    fn an_id_or_a_pause_counts_without_data_and_bad_ones_are_ignored() {
        let told = events("id: 1\n\nretry: 5\n\nid\n\nid: a\0b\n\nretry: 1s\n\nretry: -1\n\nretry:\n\n");
        let with_id = |id: &str| ServerEvent { id: Some(id.into()), ..ServerEvent::default() };
        let pause = ServerEvent { retry_ms: Some(5), ..ServerEvent::default() };
        assert_eq!(told, [with_id("1"), pause, with_id("")]);
        assert_eq!(events("retry: 99999999999999999999999\n\n"), []);
        assert_eq!(events("data: cut off\n"), []);
    }

    #[test]
    fn an_event_over_the_limit_is_refused_however_it_comes_and_comments_are_not_kept() {
        let fault = ResponseFault::TooLarge { limit: "max_event_bytes", max: 20 };
        let mut reader = EventReader::new(20);
        assert_eq!(read_all(&mut reader, &[b'x'; 21]), Err(fault.clone()));
        let mut reader = EventReader::new(20);
        assert_eq!(read_all(&mut reader, b"data: 12345\ndata: 12345\n"), Err(fault));
        let mut reader = EventReader::new(20);
        let comments = [b": ".repeat(500), b"\n".to_vec(), b"data: 12345678901234\n\n".repeat(3)].concat();
        assert_eq!(read_all(&mut reader, &comments).unwrap().len(), 3);
        assert!(reader.line.capacity() < 100, "a comment is kept");
    }
}
