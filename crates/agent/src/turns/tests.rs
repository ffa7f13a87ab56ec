//! D14, RUN-70.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    worker::{NO_RESPONSE, STARTS},
    *,
};
use crate::runtimes::{Category, Output, Reply, TurnError};

/// Answers once it gets a permit; counts its turns.
struct Gated {
    permits: Semaphore,
    turns: AtomicUsize,
    order: Mutex<Vec<String>>,
    killed: AtomicBool,
}

#[async_trait]
impl Adapter for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    async fn turn(&self, input: &TurnInput, output: &Output) -> Result<Reply, TurnError> {
        self.order.lock().push(input.text.clone());
        let n = self.turns.fetch_add(1, Ordering::SeqCst);
        output.chunk("half ");
        self.permits.acquire().await.unwrap().forget();
        match input.text.as_str() {
            "panic" => panic!("as asked"),
            "fail" => Err(TurnError::new(Category::Provider, "no")),
            "killed" => {
                self.killed.store(true, Ordering::SeqCst);
                Err(TurnError::new(Category::Subprocess, "SIGTERM"))
            }
            "empty" => Ok(Reply::default()),
            _ => Ok(Reply::text(format!("reply {n}"))),
        }
    }
}

struct Bench {
    adapter: Arc<Gated>,
    turns: Arc<Turns>,
    pulse: Pulse,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(permits: usize) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), permits, None)
    }

    fn in_dir(dir: tempfile::TempDir, permits: usize, timeout: Option<Duration>) -> Self {
        let adapter = Arc::new(Gated {
            permits: Semaphore::new(permits),
            turns: AtomicUsize::new(0),
            order: Mutex::default(),
            killed: AtomicBool::new(false),
        });
        let pulse = Pulse::default();
        let journal = Journal::open(dir.path()).unwrap();
        let turns = Turns::start(adapter.clone(), journal, pulse.clone(), timeout).unwrap();
        Self {
            adapter,
            turns,
            pulse,
            dir,
        }
    }

    async fn submit(&self, message_id: &str, text: &str) -> Arc<Turn> {
        self.turns
            .submit(input(message_id, text), text.as_bytes(), false)
            .await
            .unwrap()
    }

    /// The sender is answered at once and relies on the turn.
    async fn promise(&self, message_id: &str, text: &str) -> Arc<Turn> {
        let submitted = self.turns.submit(input(message_id, text), text.as_bytes(), true);
        submitted.await.unwrap()
    }

    /// The same workspace in its next process.
    async fn restart(self, permits: usize) -> Self {
        self.turns.shut_down(Duration::ZERO).await;
        Self::in_dir(self.dir, permits, None)
    }

    async fn working(&self, turn: &Turn) {
        turn.watch()
            .wait_for(|progress| matches!(progress.phase, Phase::Working))
            .await
            .unwrap();
    }

    fn ran(&self) -> usize {
        self.adapter.turns.load(Ordering::SeqCst)
    }
}

fn input(message_id: &str, text: &str) -> TurnInput {
    TurnInput {
        task_id: Uuid::new_v4().to_string(),
        context_id: "c".to_owned(),
        message_id: message_id.to_owned(),
        text: text.to_owned(),
        history: Vec::new(),
    }
}

#[tokio::test]
async fn a_copy_joins_the_running_turn_and_later_ones_get_the_stored_reply() {
    let bench = Bench::new(0);
    let first = bench.submit("m", "hi").await;
    bench.working(&first).await;
    let copy = bench.submit("m", "hi").await;
    assert!(Arc::ptr_eq(&first, &copy));
    bench.adapter.permits.add_permits(1);
    let (one, two) = (first.finished().await.unwrap(), copy.finished().await.unwrap());
    assert_eq!(one, two);
    let later = bench.submit("m", "hi").await.finished().await.unwrap();
    assert_eq!(later.reply_id, one.reply_id);
    assert_eq!(bench.ran(), 1);
    // The same id with other content is another message.
    bench.adapter.permits.add_permits(1);
    assert_eq!(
        bench.submit("m", "other").await.finished().await.unwrap().text,
        "reply 1"
    );
}

#[tokio::test]
async fn copies_that_race_run_once() {
    let bench = Bench::new(1);
    let sends = (0..16).map(|_| async { bench.submit("m", "hi").await.finished().await.unwrap() });
    let ends = futures_util::future::join_all(sends).await;
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(bench.ran(), 1);
}

#[tokio::test]
async fn stored_replies_survive_a_restart_and_interrupted_turns_run_again() {
    let bench = Bench::new(1);
    let answered = bench.submit("done", "hi").await.finished().await.unwrap();
    let running = bench.submit("interrupted", "hi").await;
    bench.working(&running).await;
    bench.turns.shut_down(Duration::ZERO).await;
    assert!(running.finished().await.is_none(), "given up, not answered");
    let bench = Bench::in_dir(bench.dir, 1, None);
    assert_eq!(bench.submit("done", "hi").await.finished().await.unwrap(), answered);
    assert_eq!(bench.ran(), 0);
    assert_eq!(
        bench.submit("interrupted", "hi").await.finished().await.unwrap().text,
        "reply 0"
    );
    assert_eq!(bench.turns.ended(&answered.task_id).await.unwrap().unwrap(), *answered);
}

#[tokio::test]
async fn turns_run_one_at_a_time_in_order() {
    // RUN-70
    let bench = Bench::new(0);
    let mut turns = Vec::new();
    for n in 0..5 {
        turns.push(bench.submit(&format!("m{n}"), &format!("{n}")).await);
    }
    bench.working(&turns[0]).await;
    assert_eq!(bench.ran(), 1);
    assert_eq!(bench.pulse.active(), 1);
    bench.adapter.permits.add_permits(5);
    for turn in &turns {
        turn.finished().await.unwrap();
    }
    assert_eq!(*bench.adapter.order.lock(), ["0", "1", "2", "3", "4"]);
    assert_eq!(bench.pulse.active(), 0);
}

#[tokio::test]
async fn cancel_reaches_running_and_waiting_turns() {
    // RUN-70
    let bench = Bench::new(0);
    let running = bench.submit("a", "hi").await;
    let waiting = bench.submit("b", "hi").await;
    bench.working(&running).await;
    // The waiting one need not wait for the running one.
    let one = bench.turns.cancel(&waiting.input.task_id).await.unwrap();
    assert_eq!(one.state, State::Canceled);
    assert!(!matches!(running.watch().borrow().phase, Phase::Done(_)));
    assert_eq!(bench.turns.ended(&waiting.input.task_id).await.unwrap().unwrap(), *one);
    let two = bench.turns.cancel(&running.input.task_id).await.unwrap();
    assert_eq!(two.state, State::Canceled);
    bench.adapter.permits.add_permits(1);
    bench.submit("c", "hi").await.finished().await.unwrap();
    assert_eq!(bench.ran(), 2, "the waiting one never ran");
    assert_eq!(bench.pulse.active(), 0);
    assert_eq!(
        bench.turns.cancel(&running.input.task_id).await,
        Err(CancelError::Ended)
    );
    assert_eq!(bench.turns.cancel("nobody").await, Err(CancelError::Unknown));
}

#[tokio::test]
async fn failures_are_answers() {
    // RUN-53, RUN-57
    let bench = Bench::new(3);
    let failed = bench.submit("a", "fail").await.finished().await.unwrap();
    assert_eq!(
        (failed.state, failed.text.as_str()),
        (
            State::Failed,
            "Agent error (provider_error) — see workspace logs for details."
        )
    );
    let panicked = bench.submit("b", "panic").await.finished().await.unwrap();
    assert_eq!(
        panicked.text,
        "Agent error (internal) — see workspace logs for details."
    );
    let empty = bench.submit("c", "empty").await.finished().await.unwrap();
    assert_eq!((empty.state, empty.text.as_str()), (State::Completed, NO_RESPONSE));
    assert_eq!(
        bench
            .pulse
            .beat(molecule_core::WorkspaceId::random(), Default::default())
            .0
            .error_rate,
        2.0 / 3.0
    );
}

#[tokio::test(start_paused = true)]
async fn slow_turns_time_out() {
    let bench = Bench::in_dir(tempfile::tempdir().unwrap(), 0, Some(Duration::from_secs(60)));
    let end = bench.submit("a", "hi").await.finished().await.unwrap();
    assert!(end.text.contains("(timeout)"), "{}", end.text);
}

#[tokio::test]
async fn a_stopping_agent_lets_the_turn_finish_and_takes_no_more() {
    let bench = Bench::new(0);
    let turn = bench.submit("a", "hi").await;
    bench.working(&turn).await;
    let stopping = bench.turns.shut_down(Duration::from_secs(60));
    tokio::pin!(stopping);
    assert!(futures_util::poll!(&mut stopping).is_pending());
    let refused = bench.turns.submit(input("b", "x"), b"x", false).await;
    assert!(matches!(refused, Err(SubmitError::Stopping)));
    bench.adapter.permits.add_permits(1);
    stopping.await;
    assert_eq!(turn.finished().await.unwrap().state, State::Completed);
}

#[tokio::test]
async fn promised_turns_outlive_the_process() {
    // D14: what was acknowledged is not dropped
    let bench = Bench::new(0);
    let running = bench.promise("a", "first").await;
    let waiting = bench.promise("b", "second").await;
    let joined = bench.submit("c", "third").await;
    assert!(Arc::ptr_eq(&joined, &bench.promise("c", "third").await));
    let unpromised = bench.submit("d", "fourth").await;
    bench.working(&running).await;
    let bench = bench.restart(3).await;
    for turn in [&running, &waiting, &joined] {
        let again = bench
            .turns
            .live(&turn.input.task_id)
            .unwrap_or_else(|| panic!("{} is lost", turn.input.text));
        assert_eq!(again.input, turn.input);
        assert_eq!(again.finished().await.unwrap().state, State::Completed);
    }
    assert_eq!(*bench.adapter.order.lock(), ["first", "second", "third"]);
    assert!(
        bench.turns.live(&unpromised.input.task_id).is_none(),
        "its sender knows"
    );
    let ended = bench.turns.ended(&running.input.task_id).await.unwrap().unwrap();
    assert_eq!(ended.state, State::Completed);
    let bench = bench.restart(0).await;
    assert_eq!(
        bench.submit("a", "first").await.finished().await.unwrap().text,
        ended.text
    );
    assert_eq!(bench.ran(), 0, "a promise is kept once");
}

#[tokio::test]
async fn a_promised_turn_that_ends_the_process_is_given_up() {
    // D14
    let mut bench = Bench::new(0);
    let fatal = bench.promise("a", "fatal").await.input.task_id.clone();
    let behind = bench.promise("b", "behind").await.input.task_id.clone();
    for _ in 0..STARTS {
        let turn = bench.turns.live(&fatal).unwrap();
        bench.working(&turn).await;
        bench = bench.restart(0).await;
    }
    bench.adapter.permits.add_permits(1);
    let behind = bench.turns.live(&behind).unwrap().finished().await.unwrap();
    assert_eq!(behind.state, State::Completed, "waiting is no start");
    let end = bench.turns.ended(&fatal).await.unwrap().unwrap();
    assert_eq!(end.state, State::Failed);
    assert!(end.text.contains("given up"), "{}", end.text);
}

#[tokio::test]
async fn a_turn_that_fails_while_the_agent_stops_is_not_answered() {
    // D14
    for text in ["fail", "killed"] {
        let bench = Bench::new(0);
        let turn = bench.submit("a", text).await;
        bench.working(&turn).await;
        let stopping = bench.turns.shut_down(Duration::from_secs(60));
        tokio::pin!(stopping);
        assert!(futures_util::poll!(&mut stopping).is_pending());
        bench.adapter.permits.add_permits(1);
        stopping.await;
        assert!(turn.finished().await.is_none(), "{text}");
        assert_eq!(bench.turns.ended(&turn.input.task_id).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_program_may_be_the_first_sign_of_the_stop() {
    // D14
    let bench = Bench::new(1);
    let turn = bench.submit("a", "killed").await;
    while !bench.adapter.killed.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    bench.turns.shut_down(Duration::from_secs(60)).await;
    assert!(turn.finished().await.is_none());
    // Without a stop it is a failure like any other.
    let bench = Bench::new(1);
    let end = bench.submit("a", "killed").await.finished().await.unwrap();
    assert!(end.text.contains("(subprocess_error)"), "{}", end.text);
}
