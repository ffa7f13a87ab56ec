//! A fake agent: every request gets the same short A2A reply, as cheaply as can be.

use std::io::Write;

use anyhow::Context;
use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::http1::{Framing, Head};

/// `id` of every JSON-RPC request and reply of the benchmark.
pub(crate) const RPC_ID: &str = "1";

/// Serves until standard input ends, which happens when the process that measures goes away.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let (v4, port) = announce().await?;
    // `localhost` may resolve to either address.
    let v6 = TcpListener::bind(("::1", port)).await.ok();
    let reply = reply();
    tokio::select! {
        result = accept(&v4, reply) => result,
        result = async {
            match &v6 {
                Some(listener) => accept(listener, reply).await,
                None => std::future::pending().await,
            }
        } => result,
        result = input_end() => result,
    }
}

/// Binds a free loopback port and prints it, which is how the parent learns it.
pub(crate) async fn announce() -> anyhow::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{port}")?;
    stdout.flush()?;
    Ok((listener, port))
}

/// Returns when standard input ends.
pub(crate) async fn input_end() -> anyhow::Result<()> {
    let mut sink = [0; 64];
    let mut stdin = tokio::io::stdin();
    while stdin.read(&mut sink).await? > 0 {}
    Ok(())
}

async fn accept(listener: &TcpListener, reply: &'static [u8]) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("accept")?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            if let Err(error) = answer(stream, reply).await {
                // The peer resets its connections when a run ends; anything else is worth seeing.
                if error.downcast_ref::<std::io::Error>().is_none() {
                    eprintln!("upstream: {error:#}");
                }
            }
        });
    }
}

async fn answer(mut stream: TcpStream, reply: &[u8]) -> anyhow::Result<()> {
    let mut buffer = BytesMut::with_capacity(16 << 10);
    loop {
        while let Some(head) = Head::of_request(&buffer)? {
            let Framing::Length(body) = head.framing else {
                anyhow::bail!("a chunked request")
            };
            if buffer.len() < head.length + body {
                break;
            }
            buffer.advance(head.length + body);
            stream.write_all(reply).await?;
        }
        buffer.reserve(16 << 10);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// A complete response: a message of the usual size, in the shape of A2A v0.3.
fn reply() -> &'static [u8] {
    let body = serde_json::json!({
        "jsonrpc": "2.0",
        "id": RPC_ID,
        "result": {
            "kind": "message",
            "role": "agent",
            "messageId": "6f1c2a9e-3b57-4c0d-9a4e-2d8f0b7c1e55",
            "contextId": "d0a4c7b2-9e31-4f6a-8b5d-1c2e3f4a5b6c",
            "parts": [{ "kind": "text", "text": "Done. The build is green and the change is on the branch." }],
        },
    })
    .to_string();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Lives as long as the process anyway.
    Box::leak(text.into_bytes().into_boxed_slice())
}
