//! The server itself, asked over plain TCP: no client library between the bytes and the assertions.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// Sends a request and reads until the server closes: HTTP/1.0, so that no chunk marks stand in the text.
async fn ask(llm: &ScriptedLlm, path: &str, body: &Value) -> String {
    let mut socket = TcpStream::connect(llm.address).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.0\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer k\r\nx-api-key: k\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A cut connection may end in a reset; what came before it counts.
    socket.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/messages"];

#[tokio::test]
async fn says_its_lines_in_order_and_remembers_who_asked() {
    for path in PATHS {
        let llm = ScriptedLlm::start().await;
        llm.say(Turn::text("one").and_tool("f", &json!({"a": 1})));
        llm.say(Turn::text("two"));
        let first = ask(&llm, path, &request(true)).await;
        assert!(
            first.starts_with("HTTP/1.0 200") && first.contains("text/event-stream"),
            "{first}"
        );
        assert!(first.contains("\"one\"") && first.contains("\"f\""), "{first}");
        let second = ask(&llm, path, &request(false)).await;
        assert!(
            second.contains("application/json") && second.contains("two"),
            "{second}"
        );
        assert!(
            ask(&llm, path, &request(false)).await.starts_with("HTTP/1.0 400"),
            "the script is over"
        );
        let requests = llm.requests();
        assert_eq!(requests.len(), 3);
        assert_eq!((requests[0].model(), requests[0].key.as_deref()), ("m", Some("k")));
        assert_eq!(requests[0].dialogue(), [("user".to_owned(), "hi".to_owned())]);
    }
}

#[tokio::test]
async fn bad_days() {
    for path in PATHS {
        let llm = ScriptedLlm::start().await;
        llm.say(Turn::status(429).retry_after(7));
        llm.say(Turn::text("a longer sentence").cut_after(3));
        llm.say(Turn::garbage());
        let refused = ask(&llm, path, &request(true)).await;
        assert!(
            refused.starts_with("HTTP/1.0 429") && refused.contains("retry-after: 7") && refused.contains("rate_limit")
        );
        let cut = ask(&llm, path, &request(true)).await;
        assert!(
            cut.starts_with("HTTP/1.0 200") && !cut.contains("[DONE]") && !cut.contains("message_stop"),
            "{cut}"
        );
        assert!(ask(&llm, path, &request(true)).await.contains("oops"));
    }
}

#[tokio::test]
async fn stalls_until_released() {
    let llm = ScriptedLlm::start().await;
    llm.say(Turn::text("patience").stall_after(1));
    let body = request(true);
    let asking = ask(&llm, PATHS[0], &body);
    tokio::pin!(asking);
    tokio::select! {
        _ = &mut asking => panic!("answered without release"),
        () = llm.stalled() => {}
    }
    llm.release();
    assert!(asking.await.contains("[DONE]"));
}
