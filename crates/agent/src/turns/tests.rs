//! D14, RUN-70.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    runner::{NO_RESPONSE, STARTS},
    *,
};
use crate::engine::{Category, Output, Reply, Session, SessionContext, TurnError};

/// Answers once it gets a permit; counts its turns and what became of its sessions.
struct Gated {
    permits: Semaphore,
    turns: AtomicUsize,
    order: Mutex<Vec<String>>,
    killed: AtomicBool,
    /// `start`, `reset` and `close` of each conversation, in order.
    life: Mutex<Vec<String>>,
}

impl Gated {
    fn note(&self, what: &str, context_id: &str) {
        self.life.lock().push(format!("{what} {context_id}"));
    }
}

#[async_trait]
impl Adapter for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    async fn start(self: Arc<Self>, context: SessionContext) -> Result<Box<dyn Session>, TurnError> {
        self.note("start", &context.context_id);
        if context.context_id == "unwilling" {
            return Err(TurnError::new(Category::Subprocess, "no"));
        }
        Ok(Box::new(Conversation {
            gated: self,
            context,
            said: 0,
        }))
    }

    async fn close(&self) {
        self.note("close", "engine");
    }
}

struct Conversation {
    gated: Arc<Gated>,
    context: SessionContext,
    said: usize,
}

#[async_trait]
impl Session for Conversation {
    async fn turn(&mut self, input: &TurnInput, output: &Output) -> Result<Reply, TurnError> {
        let gated = &self.gated;
        assert_eq!(input.context_id, self.context.context_id, "sessions do not mix");
        gated.order.lock().push(input.text.clone());
        let n = gated.turns.fetch_add(1, Ordering::SeqCst);
        self.said += 1;
        output.chunk("half ");
        gated.permits.acquire().await.unwrap().forget();
        match input.text.as_str() {
            "panic" => panic!("as asked"),
            "fail" => Err(TurnError::new(Category::Provider, "no")),
            "killed" => {
                gated.killed.store(true, Ordering::SeqCst);
                Err(TurnError::new(Category::Subprocess, "SIGTERM"))
            }
            "empty" => Ok(Reply::default()),
            "how often" => Ok(Reply::text(self.said.to_string())),
            _ => Ok(Reply::text(format!("reply {n}"))),
        }
    }

    async fn reset(&mut self) {
        self.gated.note("reset", &self.context.context_id);
    }

    async fn close(&mut self) {
        self.gated.note("close", &self.context.context_id);
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
        Self::limited(dir, permits, Limits { timeout, at_once: 1 })
    }

    fn limited(dir: tempfile::TempDir, permits: usize, limits: Limits) -> Self {
        let adapter = Arc::new(Gated {
            permits: Semaphore::new(permits),
            turns: AtomicUsize::new(0),
            order: Mutex::default(),
            killed: AtomicBool::new(false),
            life: Mutex::default(),
        });
        let pulse = Pulse::default();
        let journal = Journal::open(dir.path()).unwrap();
        let turns = Turns::start(adapter.clone(), journal, pulse.clone(), limits).unwrap();
        Self {
            adapter,
            turns,
            pulse,
            dir,
        }
    }

    async fn submit(&self, message_id: &str, text: &str) -> Arc<Turn> {
        self.turns.submit(asked(message_id, text), false).await.unwrap()
    }

    async fn submit_to(&self, context_id: &str, text: &str) -> Arc<Turn> {
        let asked = Asked {
            context_id: Some(context_id.to_owned()),
            ..asked(&Uuid::new_v4().to_string(), text)
        };
        self.turns.submit(asked, false).await.unwrap()
    }

    fn live(&self, task_id: &str) -> Option<Arc<Turn>> {
        self.turns.live(task_id).into_iter().next()
    }

    /// The end of a task that is over.
    async fn ended(&self, task_id: &str) -> Option<Finished> {
        let task = self.turns.task(task_id).await.unwrap()?;
        task.live.is_empty().then(|| task.ended.into_iter().last())?
    }

    fn life(&self) -> Vec<String> {
        self.adapter.life.lock().clone()
    }

    /// The sender is answered at once and relies on the turn.
    async fn promise(&self, message_id: &str, text: &str) -> Arc<Turn> {
        self.turns.submit(asked(message_id, text), true).await.unwrap()
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

fn asked(message_id: &str, text: &str) -> Asked {
    Asked {
        message_id: message_id.to_owned(),
        context_id: Some("c".to_owned()),
        task_id: None,
        text: text.to_owned(),
        history: Vec::new(),
        message: Box::new(Message::user(message_id, text)),
        content: text.as_bytes().to_vec(),
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
    assert_eq!(bench.ended(&answered.task_id).await.unwrap(), *answered);
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
async fn conversations_run_beside_each_other_and_do_not_mix() {
    // D22, RUN-70
    let limits = Limits {
        timeout: None,
        at_once: 2,
    };
    let bench = Bench::limited(tempfile::tempdir().unwrap(), 0, limits);
    let mut turns = Vec::new();
    for (context_id, text) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")] {
        turns.push(bench.submit_to(context_id, text).await);
    }
    bench.working(&turns[0]).await;
    bench.working(&turns[2]).await;
    assert_eq!(bench.pulse.active(), 2, "two at once, of two conversations");
    for turn in [&turns[1], &turns[3]] {
        assert!(matches!(turn.watch().borrow().phase, Phase::Queued));
    }
    bench.adapter.permits.add_permits(4);
    for turn in &turns {
        turn.finished().await.unwrap();
    }
    let order = bench.adapter.order.lock().clone();
    let at = |text: &str| order.iter().position(|said| said == text).unwrap();
    assert!(at("a1") < at("a2"), "{order:?}");
    assert_eq!(bench.life().len(), 3, "one session each: {:?}", bench.life());
}

#[tokio::test]
async fn a_session_lives_as_long_as_its_engine() {
    // D22, RUN-73
    let bench = Bench::new(9);
    for n in 1..=2 {
        let said = bench.submit_to("a", "how often").await.finished().await.unwrap();
        assert_eq!(said.text, n.to_string(), "the same session");
    }
    bench.submit_to("a", "fail").await.finished().await.unwrap();
    bench.submit_to("a", "killed").await.finished().await.unwrap();
    bench.submit_to("b", "panic").await.finished().await.unwrap();
    let again = bench.submit_to("b", "how often").await.finished().await.unwrap();
    assert_eq!(again.text, "1", "what panicked is not used again");
    bench.turns.shut_down(Duration::from_secs(60)).await;
    let mut life = bench.life();
    assert_eq!(life.pop().unwrap(), "close engine", "after its sessions");
    life.sort();
    assert_eq!(life, ["close a", "close b", "reset a", "start a", "start b", "start b"]);
}

#[tokio::test]
async fn sessions_that_nobody_uses_make_room() {
    // D22
    let bench = Bench::new(40);
    for n in 0..20 {
        bench.submit_to(&format!("c{n}"), "x").await.finished().await.unwrap();
    }
    bench.turns.shut_down(Duration::from_secs(60)).await;
    let life = bench.life();
    let closed = |n: usize| life.iter().position(|event| *event == format!("close c{n}")).unwrap();
    let last_start = life.iter().position(|event| event == "start c19").unwrap();
    assert!(closed(0) < last_start, "{life:?}");
    assert!(closed(19) > last_start);
}

#[tokio::test]
async fn a_session_that_cannot_be_started_fails_its_turn_only() {
    let bench = Bench::new(1);
    let failed = bench.submit_to("unwilling", "x").await.finished().await.unwrap();
    assert!(failed.text.contains("(subprocess_error)"), "{}", failed.text);
    assert_eq!(
        bench.submit_to("willing", "x").await.finished().await.unwrap().text,
        "reply 0"
    );
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
    assert_eq!(bench.ended(&waiting.input.task_id).await.unwrap(), *one);
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
    let refused = bench.turns.submit(asked("b", "x"), false).await;
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
            .live(&turn.input.task_id)
            .unwrap_or_else(|| panic!("{} is lost", turn.input.text));
        assert_eq!(again.input, turn.input);
        assert_eq!(again.finished().await.unwrap().state, State::Completed);
    }
    assert_eq!(*bench.adapter.order.lock(), ["first", "second", "third"]);
    assert!(bench.live(&unpromised.input.task_id).is_none(), "its sender knows");
    let ended = bench.ended(&running.input.task_id).await.unwrap();
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
        let turn = bench.live(&fatal).unwrap();
        bench.working(&turn).await;
        bench = bench.restart(0).await;
    }
    bench.adapter.permits.add_permits(1);
    let behind = bench.live(&behind).unwrap().finished().await.unwrap();
    assert_eq!(behind.state, State::Completed, "waiting is no start");
    let end = bench.ended(&fatal).await.unwrap();
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
        assert_eq!(bench.ended(&turn.input.task_id).await, None);
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

#[tokio::test]
async fn a_task_goes_on_while_it_is_not_over() {
    // D24
    let bench = Bench::new(0);
    let first = bench.submit("m1", "one").await;
    bench.working(&first).await;
    let to = |task_id: &str, context_id: Option<&str>| Asked {
        task_id: Some(task_id.to_owned()),
        context_id: context_id.map(str::to_owned),
        ..asked("m2", "two")
    };
    let task_id = &first.input.task_id;
    let elsewhere = bench.turns.submit(to(task_id, Some("other")), false).await;
    assert!(matches!(elsewhere, Err(SubmitError::OtherContext)));
    let nowhere = bench.turns.submit(to("nobody", None), false).await;
    assert!(matches!(nowhere, Err(SubmitError::NoTask(id)) if id == "nobody"));
    let second = bench.turns.submit(to(task_id, None), false).await.unwrap();
    assert_eq!(
        (&second.input.task_id, second.input.context_id.as_str()),
        (task_id, "c")
    );
    assert!(
        bench
            .turns
            .next_of(&first)
            .is_some_and(|next| Arc::ptr_eq(&next, &second))
    );
    let task = bench.turns.task(task_id).await.unwrap().unwrap();
    assert_eq!((task.live.len(), task.status().0), (2, TaskState::Working));
    bench.adapter.permits.add_permits(1);
    first.finished().await.unwrap();
    bench.working(&second).await;
    let task = bench.turns.task(task_id).await.unwrap().unwrap();
    assert_eq!(
        (task.ended.len(), task.live.len(), task.status().0),
        (1, 1, TaskState::Working)
    );
    bench.adapter.permits.add_permits(1);
    second.finished().await.unwrap();
    let task = bench.turns.task(task_id).await.unwrap().unwrap();
    assert_eq!((task.ended.len(), task.status().0), (2, TaskState::Completed));
    // What was answered is answered the same, and nothing new begins.
    let again = bench.turns.submit(to(task_id, None), false).await.unwrap();
    assert_eq!(again.finished().await.unwrap().reply_id, task.ended[1].reply_id);
    let late = Asked {
        message_id: "m3".to_owned(),
        ..to(task_id, None)
    };
    assert!(matches!(
        bench.turns.submit(late, false).await,
        Err(SubmitError::TaskOver(_))
    ));
    assert_eq!(bench.ran(), 2);
}

#[tokio::test]
async fn cancelling_a_task_ends_all_its_turns() {
    // D24, RUN-70
    let bench = Bench::new(0);
    let first = bench.submit("m1", "one").await;
    bench.working(&first).await;
    let more = Asked {
        task_id: Some(first.input.task_id.clone()),
        context_id: None,
        ..asked("m2", "two")
    };
    let second = bench.turns.submit(more, false).await.unwrap();
    bench.turns.cancel(&first.input.task_id).await.unwrap();
    for turn in [&first, &second] {
        assert_eq!(turn.finished().await.unwrap().state, State::Canceled);
    }
    assert_eq!(bench.ran(), 1);
}

#[tokio::test]
async fn tasks_are_listed_newest_first() {
    // D24
    let bench = Bench::new(3);
    for (context_id, text) in [("a", "one"), ("b", "fail"), ("a", "two")] {
        bench.submit_to(context_id, text).await.finished().await.unwrap();
    }
    let running = bench.submit_to("a", "three").await;
    bench.working(&running).await;
    let texts = |page: &Page| -> Vec<String> {
        let said = page.tasks.iter().map(|task| {
            let ended = task.ended.iter().map(|end| end.asked.as_ref().unwrap().text());
            let live = task.live.iter().map(|turn| turn.input.text.clone());
            ended.chain(live).collect::<Vec<_>>().join("+")
        });
        said.collect()
    };
    let all = Filter::default();
    let page = bench.turns.list(&all, None, 3).await.unwrap();
    assert_eq!(
        (texts(&page), page.total),
        (vec!["three".into(), "two".into(), "fail".into()], 4)
    );
    let place = Place::parse(&page.next.unwrap().to_string()).unwrap();
    let page = bench.turns.list(&all, Some(&place), 3).await.unwrap();
    assert_eq!((texts(&page), page.next), (vec!["one".into()], None));
    for (context_id, state, expected) in [
        (Some("a"), None, vec!["three", "two", "one"]),
        (None, Some(TaskState::Failed), vec!["fail"]),
        (Some("a"), Some(TaskState::Completed), vec!["two", "one"]),
        (None, Some(TaskState::Working), vec!["three"]),
        (None, Some(TaskState::Rejected), vec![]),
    ] {
        let filter = Filter {
            context_id: context_id.map(str::to_owned),
            state,
            since: None,
        };
        let page = bench.turns.list(&filter, None, 10).await.unwrap();
        assert_eq!(
            (texts(&page), page.total),
            (expected.iter().map(|text| (*text).to_owned()).collect(), expected.len())
        );
    }
}
