//! Bytes into lines, of which each has so many bytes at most.

/// Lines that wait to be taken; what fills them takes them soon.
#[derive(Debug)]
pub(super) struct Lines {
    max: usize,
    part: Vec<u8>,
    /// Whether the line under way is too long already.
    over: bool,
    done: Vec<String>,
}

impl Lines {
    pub(super) fn new(max: usize) -> Lines {
        Lines { max, part: Vec::new(), over: false, done: Vec::new() }
    }

    /// Takes bytes as they come. The rest of a line that is too long is cut.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = self.max.saturating_sub(self.part.len());
            self.over |= text.len() > room;
            self.part.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let line = String::from_utf8_lossy(&self.part);
        let mut line = line.strip_suffix('\r').unwrap_or(&line).to_owned();
        if std::mem::take(&mut self.over) {
            line.push('…');
        }
        self.part.clear();
        self.done.push(line);
    }

    /// The lines that are whole; with `all`, also the last one without an end.
    pub(super) fn take(&mut self, all: bool) -> Vec<String> {
        if all && !self.part.is_empty() {
            self.end();
        }
        std::mem::take(&mut self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_are_cut() {
        let mut lines = Lines::new(4);
        for bytes in [&b"a"[..], b"b\r\nc", b"\n\nlonger\nx"] {
            lines.add(bytes);
        }
        assert_eq!(lines.take(false), ["ab", "c", "", "long…"]);
        assert_eq!(lines.take(true), ["x"]);
        assert!(lines.take(true).is_empty());
    }
}
