//! HTTP/1.1 with as little work as possible: the generator and the upstream share the processor with what they
//! measure, so every instruction here is taken from the contestants.

use std::{io, net::SocketAddr};

use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Headers of one message. More is an error, not a truncation.
const MAX_HEADERS: usize = 48;
const READ_BUFFER: usize = 16 << 10;

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// Head of a message: its own length, and what is needed to find the end of the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) length: usize,
    /// 0 for a request.
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    pub(crate) close: bool,
}

impl Head {
    /// Parses the head of a request, or `None` if it is not complete yet.
    pub(crate) fn of_request(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(bytes)? else {
            return Ok(None);
        };
        Self::new(length, 0, request.headers).map(Some)
    }

    fn of_response(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(bytes)? else {
            return Ok(None);
        };
        Self::new(length, response.code.unwrap_or_default(), response.headers).map(Some)
    }

    fn new(length: usize, status: u16, headers: &[httparse::Header<'_>]) -> anyhow::Result<Self> {
        let mut head = Self {
            length,
            status,
            framing: Framing::Length(0),
            close: false,
        };
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = str::from_utf8(header.value)?;
                head.framing = Framing::Length(text.parse().with_context(|| format!("content-length {text}"))?);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                head.framing = Framing::Chunked;
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.close = header.value.eq_ignore_ascii_case(b"close");
            }
        }
        Ok(head)
    }
}

/// Takes a chunked body apart: its bytes and its length on the wire, or `None` if it is not complete yet.
fn dechunk(bytes: &[u8]) -> anyhow::Result<Option<(BytesMut, usize)>> {
    let mut body = BytesMut::new();
    let mut at = 0;
    loop {
        let size = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete((start, size))) => {
                at += start;
                usize::try_from(size)?
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => bail!("invalid chunk size"),
        };
        // The chunk and its line end; after the last chunk the line end of an empty trailer.
        if bytes.len() < at + size + 2 {
            return Ok(None);
        }
        body.extend_from_slice(&bytes[at..at + size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: BytesMut,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status and the beginning of the body, for an error message.
    pub(crate) fn summary(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        format!("{} {text}", self.status)
    }
}

/// A keep-alive connection that opens itself when it is needed.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: BytesMut,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            buffer: BytesMut::with_capacity(READ_BUFFER),
        }
    }

    /// Sends a request and reads its response. After an error the next call opens a new connection.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Reply> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        stream.write_all(request).await?;
        let head = loop {
            if let Some(head) = Head::of_response(&self.buffer)? {
                break head;
            }
            self.fill(&mut stream).await?;
        };
        self.buffer.advance(head.length);
        let body = match head.framing {
            Framing::Length(length) => {
                while self.buffer.len() < length {
                    self.fill(&mut stream).await?;
                }
                self.buffer.split_to(length)
            }
            Framing::Chunked => loop {
                if let Some((body, length)) = dechunk(&self.buffer)? {
                    self.buffer.advance(length);
                    break body;
                }
                self.fill(&mut stream).await?;
            },
        };
        if !head.close {
            self.stream = Some(stream);
        }
        Ok(Reply {
            status: head.status,
            body,
        })
    }

    async fn open(&mut self) -> io::Result<TcpStream> {
        self.buffer.clear();
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        self.buffer.reserve(READ_BUFFER);
        if stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection in the middle of a response");
        }
        Ok(())
    }
}

/// Bytes of a request. `headers` are whole lines without line ends.
pub(crate) fn request(method: &str, path: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        ));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let bytes = request("POST", "/a", &["x: y".into()], b"{}");
        let head = Head::of_request(&bytes).unwrap().unwrap();
        assert_eq!(
            (head.length + 2, head.framing, head.close),
            (bytes.len(), Framing::Length(2), false)
        );
        assert_eq!(Head::of_request(&bytes[..head.length - 1]).unwrap(), None);
        let closing = Head::of_response(b"HTTP/1.1 503 Busy\r\nConnection: Close\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(
            (closing.status, closing.close, closing.framing),
            (503, true, Framing::Length(0))
        );
        assert!(Head::of_response(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
        assert!(Head::of_response(b"SSH-2.0-x\r\n\r\n").is_err());
    }

    #[test]
    fn chunks() {
        let wire = b"3\r\nabc\r\n1f;name=value\r\n0123456789012345678901234567890\r\n0\r\n\r\nHTTP/1.1";
        let whole = wire.len() - "HTTP/1.1".len();
        let (body, length) = dechunk(wire).unwrap().unwrap();
        assert_eq!((&body[..4], body.len(), length), (&b"abc0"[..], 34, whole));
        for end in 0..whole {
            assert!(dechunk(&wire[..end]).unwrap().is_none(), "{end}");
        }
        assert!(dechunk(b"x\r\n").is_err());
    }
}
