//! Server-sent events, decoded from bytes as they arrive.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseFrame {
    /// `event:` field, if any.
    pub event: Option<String>,
    /// `id:` field, if any.
    pub id: Option<String>,
    /// `data:` lines, joined by line feeds.
    pub data: String,
}

/// A frame is longer than the decoder's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {0} bytes")]
pub struct SseTooLong(pub usize);

/// Incremental decoder. Takes CR, LF and CRLF line ends, comments and frames split at any byte.
#[derive(Debug)]
pub struct SseDecoder {
    /// Bytes of a line that has not ended yet.
    line: Vec<u8>,
    frame: SseFrame,
    has_data: bool,
    /// The last byte was CR: a directly following LF belongs to it.
    after_cr: bool,
    at_start: bool,
    limit: usize,
}

impl SseDecoder {
    /// Decoder that takes frames of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            frame: SseFrame::default(),
            has_data: false,
            after_cr: false,
            at_start: true,
            limit,
        }
    }

    /// Feeds bytes and appends every frame that they complete to `frames`. A frame without its blank line is never
    /// delivered.
    ///
    /// # Errors
    /// A frame beyond the limit; the decoder is of no use afterwards.
    pub fn push(&mut self, bytes: &[u8], frames: &mut impl Extend<SseFrame>) -> Result<(), SseTooLong> {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(frames),
                _ => {
                    if self.line.len() + self.frame.data.len() >= self.limit {
                        return Err(SseTooLong(self.limit));
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self, frames: &mut impl Extend<SseFrame>) {
        let bytes = std::mem::take(&mut self.line);
        let mut line = String::from_utf8_lossy(&bytes);
        if std::mem::take(&mut self.at_start)
            && let Some(rest) = line.strip_prefix('\u{feff}')
        {
            line = rest.to_owned().into();
        }
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            if std::mem::take(&mut self.has_data) {
                frames.extend([frame]);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.frame.data.push('\n');
                }
                self.has_data = true;
                self.frame.data.push_str(value);
            }
            "event" => self.frame.event = Some(value.to_owned()),
            "id" => self.frame.id = Some(value.to_owned()),
            // Comments (an empty field name), `retry` and fields that nobody knows.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Vec<SseFrame> {
        let mut decoder = SseDecoder::new(1_000);
        let mut frames = Vec::new();
        for piece in pieces {
            decoder.push(piece, &mut frames).unwrap();
        }
        frames
    }

    #[test]
    fn every_split_gives_the_same_frames() {
        let text = "\u{feff}: ping\r\n\r\ndata: {\"a\":\r\ndata: \"é\"}\r\nevent: x\r\nid: 7\r\n\r\ndata:two\n\nevent: no-data\n\ndata: cut".as_bytes();
        let whole = decode(&[text]);
        assert_eq!(
            whole,
            [
                SseFrame {
                    event: Some("x".into()),
                    id: Some("7".into()),
                    data: "{\"a\":\n\"é\"}".into()
                },
                SseFrame {
                    data: "two".into(),
                    ..SseFrame::default()
                },
            ]
        );
        for cut in 0..text.len() {
            assert_eq!(decode(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn endless_frames_are_refused() {
        let mut decoder = SseDecoder::new(8);
        assert_eq!(decoder.push(b"data: 123456789", &mut Vec::new()), Err(SseTooLong(8)));
        let mut decoder = SseDecoder::new(16);
        assert_eq!(
            decoder.push(b"data: 12345678\ndata: 9999", &mut Vec::new()),
            Err(SseTooLong(16))
        );
    }
}
