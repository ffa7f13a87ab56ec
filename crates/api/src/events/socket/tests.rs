use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use molecule_core::{
    event::{Beat, Event},
    limits,
};
use tokio::sync::mpsc;

use super::*;
use crate::testing;

/// The client's end: what it was sent, and the way to say something. One that does not read takes nothing.
struct Client {
    reads: bool,
    says: mpsc::UnboundedReceiver<Result<Message, axum::Error>>,
    heard: mpsc::UnboundedSender<Message>,
    flushes: Arc<AtomicUsize>,
}

impl Stream for Client {
    type Item = Result<Message, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.says.poll_recv(cx)
    }
}

impl Sink<Message> for Client {
    type Error = mpsc::error::SendError<Message>;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.reads { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        self.heard.send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
}

type Says = mpsc::UnboundedSender<Result<Message, axum::Error>>;

fn client(reads: bool) -> (Client, Says, mpsc::UnboundedReceiver<Message>) {
    let (say, says) = mpsc::unbounded_channel();
    let (heard, hears) = mpsc::unbounded_channel();
    let flushes = Arc::default();
    let client = Client {
        reads,
        says,
        heard,
        flushes,
    };
    (client, say, hears)
}

fn session(state: &ApiState, bearer: Option<SecretString>) -> Session {
    Session {
        frames: state.platform().events.subscribe(),
        listener: Listener::Canvas,
        bearer,
        seat: state.limits().seats.take(Holder::Address(None)).unwrap(),
        gauge: state.metrics().socket(),
        state: state.clone(),
        lost: 0,
    }
}

fn publish(state: &ApiState, number: usize) {
    let events = &state.platform().events;
    let beat = Beat {
        active_tasks: i64::try_from(number).unwrap(),
        uptime_seconds: 0,
    };
    events.live(WorkspaceId::random(), || Event::WorkspaceHeartbeat(beat));
}

fn number(message: &Message) -> u64 {
    let Message::Text(text) = message else {
        panic!("{message:?}")
    };
    let event: serde_json::Value = serde_json::from_str(text).unwrap();
    event["payload"]["active_tasks"].as_u64().unwrap()
}

#[tokio::test]
async fn who_falls_behind_loses_the_oldest_and_stays() {
    // ACT-73
    let (state, _database) = testing::state().await;
    let mut session = session(&state, None);
    let published = limits::SOCKET_BUFFER + 5;
    for event in 0..published {
        publish(&state, event);
    }
    let (mut client, say, mut hears) = client(true);
    let listening = tokio::spawn(async move { session.relay(&mut client).await });
    let mut heard = Vec::new();
    while heard.last() != Some(&(published as u64 - 1)) {
        heard.push(number(&hears.recv().await.unwrap()));
    }
    assert!(heard.len() < published && heard[0] > 0, "{heard:?}");
    assert!(heard.is_sorted());
    publish(&state, published);
    assert_eq!(number(&hears.recv().await.unwrap()), published as u64);
    say.send(Ok(Message::Close(None))).unwrap();
    assert!(matches!(listening.await.unwrap(), End::Client));
}

#[tokio::test]
async fn frames_that_have_gathered_go_out_together() {
    // D34
    let (state, _database) = testing::state().await;
    let mut session = session(&state, None);
    (0..10).for_each(|event| publish(&state, event));
    let (mut client, say, mut hears) = client(true);
    let flushes = client.flushes.clone();
    let listening = tokio::spawn(async move { session.relay(&mut client).await });
    for event in 0..10 {
        assert_eq!(number(&hears.recv().await.unwrap()), event);
    }
    say.send(Ok(Message::Close(None))).unwrap();
    assert!(matches!(listening.await.unwrap(), End::Client));
    assert_eq!(flushes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_takes_nothing_is_given_up() {
    // ACT-73
    let (state, _database) = testing::state().await;
    let mut session = session(&state, None);
    let (mut client, _say, _hears) = client(false);
    publish(&state, 0);
    // Nothing below waits for anything but the clock, which therefore runs ahead.
    tokio::time::pause();
    let begun = Instant::now();
    let ended = timeout(2 * SEND_LIMIT, session.relay(&mut client)).await;
    assert!(matches!(ended, Ok(End::Client)));
    assert_eq!(begun.elapsed().as_secs(), SEND_LIMIT.as_secs());
}

#[tokio::test]
async fn who_loses_the_credential_loses_the_socket() {
    // ACT-81, D2
    let (state, _database) = testing::state().await;
    let credentials = &state.platform().credentials;
    let begun = credentials
        .begin_session(molecule_platform::credentials::SessionOrigin::default())
        .await
        .unwrap();
    let (id, token) = (begun.id, begun.token);
    let mut session = session(&state, Some(token.expose().to_owned().into()));
    let (mut client, _say, mut hears) = client(true);
    let listening = tokio::spawn(async move { session.relay(&mut client).await });
    // Past the first look at the credential, which still is one: the answer to it is a ping.
    let pass = async || {
        tokio::task::yield_now().await;
        tokio::time::pause();
        tokio::time::advance(PING_EVERY).await;
        // The look-up waits for a real database.
        tokio::time::resume();
    };
    pass().await;
    assert!(matches!(hears.recv().await, Some(Message::Ping(_))));
    credentials.end_session(id).await.unwrap();
    pass().await;
    let ended = timeout(Duration::from_secs(20), listening).await;
    assert!(matches!(ended.unwrap().unwrap(), End::Withdrawn));
}
