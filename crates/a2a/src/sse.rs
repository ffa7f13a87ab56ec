//! Server-sent events: an incremental parser and an encoder.

/// One event frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// The `event` field, if given.
    pub event: Option<String>,
    /// The `id` field, if given.
    pub id: Option<String>,
    /// The `data` lines, joined by line feeds.
    pub data: String,
}

impl Frame {
    /// A frame that holds only data.
    #[must_use]
    pub fn data(data: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// The frame on the wire, blank line included. Any line end in `data` starts another `data` line (and reads back as
    /// a line feed); `event` and `id` cannot hold one, so theirs are dropped.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut wire = String::with_capacity(self.data.len() + 16);
        for (name, value) in [("event", &self.event), ("id", &self.id)] {
            if let Some(value) = value {
                wire.push_str(name);
                wire.push_str(": ");
                wire.extend(value.chars().filter(|c| !matches!(c, '\r' | '\n')));
                wire.push('\n');
            }
        }
        for line in lines(&self.data) {
            wire.push_str("data: ");
            wire.push_str(line);
            wire.push('\n');
        }
        wire.push('\n');
        wire
    }
}

/// Splits at CRLF, LF and CR. Text that ends in a line end has an empty last line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\r', '\n']) else {
            rest = None;
            return Some(text);
        };
        let skip = if text[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[end + skip..]);
        Some(&text[..end])
    })
}

/// Line buffers of longer lines are not kept for the next line.
const KEPT_LINE_BYTES: usize = 64 << 10;

/// A frame grew beyond the parser's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event frame is longer than {limit} bytes")]
pub struct FrameTooLong {
    /// The limit, bytes.
    pub limit: usize,
}

/// Parses a byte stream into frames, however it is cut into chunks.
///
/// Lines end in LF, CRLF or CR. Comments, `retry` and unknown fields are skipped; frames without a `data` field are not
/// reported; a byte order mark at the start is ignored; bytes that are not UTF-8 read as U+FFFD.
#[derive(Debug)]
pub struct Parser {
    limit: usize,
    /// The line under way, without its end.
    line: Vec<u8>,
    frame: Frame,
    has_data: bool,
    /// Bytes of the frame under way.
    size: usize,
    /// The last byte was a CR: a LF now belongs to it.
    after_cr: bool,
    /// No line has ended yet, so a byte order mark may stand here.
    at_start: bool,
    failed: bool,
}

impl Parser {
    /// A parser that refuses frames of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            frame: Frame::default(),
            has_data: false,
            size: 0,
            after_cr: false,
            at_start: true,
            failed: false,
        }
    }

    /// Bytes of the frame under way that are held.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.size
    }

    /// Takes the next chunk; the frames it completes are appended to `frames`.
    ///
    /// # Errors
    /// [`FrameTooLong`], now and for every later call: where the next frame starts is unknown by then. Frames completed
    /// before are in `frames`.
    pub fn push(&mut self, mut chunk: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameTooLong> {
        if self.failed {
            return Err(FrameTooLong { limit: self.limit });
        }
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let text = &chunk[..end.unwrap_or(chunk.len())];
            self.size += text.len();
            if self.size > self.limit {
                self.failed = true;
                return Err(FrameTooLong { limit: self.limit });
            }
            self.line.extend_from_slice(text);
            let Some(end) = end else { break };
            self.after_cr = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            frames.extend(self.end_line());
        }
        Ok(())
    }

    /// The frame left over when the stream ends without the blank line after it. (The standard drops it; agents that
    /// close right after their last event mean it.)
    #[must_use]
    pub fn finish(mut self) -> Option<Frame> {
        if self.failed {
            return None;
        }
        if !self.line.is_empty() {
            self.field();
        }
        self.has_data.then_some(self.frame)
    }

    /// Ends the line under way; an empty one ends the frame.
    fn end_line(&mut self) -> Option<Frame> {
        if !self.line.is_empty() {
            self.field();
            return None;
        }
        self.at_start = false;
        self.size = 0;
        let frame = std::mem::take(&mut self.frame);
        std::mem::take(&mut self.has_data).then_some(frame)
    }

    /// Takes the line as a field.
    fn field(&mut self) {
        let mut line = self.line.as_slice();
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon.map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..]));
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(&value);
            }
            b"event" => self.frame.event = Some(value.into_owned()),
            b"id" => self.frame.id = Some(value.into_owned()),
            _ => {}
        }
        self.line.clear();
        self.line.shrink_to(KEPT_LINE_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parses a stream cut at the given offsets.
    fn parse(stream: &[u8], cuts: &[usize]) -> Vec<Frame> {
        let mut parser = Parser::new(1 << 20);
        let mut frames = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().copied().chain([stream.len()]) {
            let cut = cut.clamp(from, stream.len());
            parser.push(&stream[from..cut], &mut frames).unwrap();
            from = cut;
        }
        frames.extend(parser.finish());
        frames
    }

    fn data(stream: &str) -> Vec<String> {
        parse(stream.as_bytes(), &[])
            .into_iter()
            .map(|frame| frame.data)
            .collect()
    }

    #[test]
    fn reads_frames_with_any_line_end() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = "data: a\ndata: b\n\n: comment\nevent: x\nid: 7\ndata:c\n\n".replace('\n', end);
            let frames = parse(stream.as_bytes(), &[]);
            assert_eq!(frames.len(), 2, "{end:?}");
            assert_eq!(frames[0], Frame::data("a\nb"));
            assert_eq!(
                frames[1],
                Frame {
                    event: Some("x".into()),
                    id: Some("7".into()),
                    data: "c".into()
                }
            );
        }
    }

    #[test]
    fn odd_streams() {
        assert_eq!(data(""), [""; 0]);
        assert_eq!(data("\n\n:\n\nretry: 5\n\nevent: x\n\n"), [""; 0]);
        assert_eq!(data("data\n\n"), [""]);
        assert_eq!(data("data:  a\n\n"), [" a"]);
        assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"]);
        assert_eq!(data("data: a: b\n\n"), ["a: b"]);
        assert_eq!(data("data: unfinished"), ["unfinished"]);
        assert_eq!(data("data:\ndata:\n\n"), ["\n"]);
        assert_eq!(parse(b"data: \xff\n\n", &[])[0].data, "\u{fffd}");
    }

    #[test]
    fn an_event_name_does_not_leak_into_the_next_frame() {
        let frames = parse(b"event: x\n\ndata: a\n\n", &[]);
        assert_eq!(frames, [Frame::data("a")]);
    }

    #[test]
    fn the_same_however_it_is_cut() {
        let stream = "\u{feff}: hi\r\nevent: é\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata: 2\r\rdata: 3\n\n".as_bytes();
        let whole = parse(stream, &[]);
        assert_eq!(whole.len(), 3);
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                assert_eq!(parse(stream, &[first, second]), whole, "{first} {second}");
            }
        }
        let every_byte: Vec<usize> = (0..stream.len()).collect();
        assert_eq!(parse(stream, &every_byte), whole);
    }

    #[test]
    fn the_limit_counts_per_frame() {
        let mut parser = Parser::new(10);
        let mut frames = Vec::new();
        for _ in 0..3 {
            parser.push(b"data: 1234\n\n", &mut frames).unwrap();
        }
        assert_eq!(frames.len(), 3);
        assert_eq!(
            parser.push(b"data: 1\n\ndata: 12345", &mut frames),
            Err(FrameTooLong { limit: 10 })
        );
        assert_eq!(frames.len(), 4);
        assert_eq!(parser.push(b"\n\n", &mut frames), Err(FrameTooLong { limit: 10 }));
        assert_eq!(parser.finish(), None);
    }

    #[test]
    fn many_short_lines_count_too() {
        let mut parser = Parser::new(100);
        let mut frames = Vec::new();
        let refused = (0..1000).any(|_| parser.push(b"data: x\n", &mut frames).is_err());
        assert!(refused && frames.is_empty());
    }

    #[test]
    fn encoding_cannot_forge_a_frame() {
        let frame = Frame {
            event: Some("a\ndata: b".into()),
            id: Some("1\r\n\r\n".into()),
            data: "x\n\ny".into(),
        };
        let wire = frame.encode();
        assert_eq!(wire, "event: adata: b\nid: 1\ndata: x\ndata: \ndata: y\n\n");
        let back = parse(wire.as_bytes(), &[]);
        assert_eq!(back.len(), 1);
        assert_eq!(back[0].data, "x\n\ny");
    }

    proptest! {
        #[test]
        fn encoded_frames_read_back(
            frames in prop::collection::vec(("[a-z ]{0,8}", "[^\r]{0,60}", any::<bool>()), 0..8),
            cuts in prop::collection::vec(0usize..600, 0..12),
        ) {
            let frames: Vec<Frame> = frames
                .into_iter()
                .map(|(event, data, named)| Frame { event: named.then_some(event), id: None, data })
                .collect();
            let wire: String = frames.iter().map(Frame::encode).collect();
            let mut cuts = cuts;
            cuts.sort_unstable();
            prop_assert_eq!(parse(wire.as_bytes(), &cuts), frames);
        }

        #[test]
        fn arbitrary_bytes_read_the_same_in_one_piece_and_bytewise(stream in prop::collection::vec(any::<u8>(), 0..200)) {
            let every_byte: Vec<usize> = (0..stream.len()).collect();
            prop_assert_eq!(parse(&stream, &every_byte), parse(&stream, &[]));
        }
    }
}
