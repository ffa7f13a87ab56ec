//! The open sessions of an engine. One that is at work is in the hands of its turn; the rest wait here, and the one
//! longest unused makes room.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::timeout;

use crate::engine::{Adapter, Session, SessionContext, TurnError};

/// Sessions that are kept open while nobody uses them: each may be a program.
const IDLE: usize = 16;

/// Sessions by conversation, longest unused first.
pub(super) struct Sessions {
    adapter: Arc<dyn Adapter>,
    idle: Mutex<VecDeque<(String, Box<dyn Session>)>>,
}

/// A session on its way out.
pub(super) struct Closing {
    conversation: String,
    session: Box<dyn Session>,
}

impl Closing {
    /// How long a session has to end: an agent that stops is killed if it takes too long (`limits::AGENT_STOP_GRACE`).
    pub(super) const GRACE: Duration = Duration::from_millis(200);

    /// Ends it.
    pub(super) async fn finish(mut self) {
        if timeout(Self::GRACE, self.session.close()).await.is_err() {
            tracing::warn!(context = self.conversation, "a session did not end in time");
        }
    }
}

impl Sessions {
    pub(super) fn new(adapter: Arc<dyn Adapter>) -> Self {
        Self {
            adapter,
            idle: Mutex::default(),
        }
    }

    /// The open session of a conversation.
    pub(super) fn take(&self, conversation: &str) -> Option<Box<dyn Session>> {
        let mut idle = self.idle.lock();
        let at = idle.iter().position(|(known, _)| known == conversation)?;
        idle.remove(at).map(|(_, session)| session)
    }

    /// A new one.
    ///
    /// # Errors
    /// The engine has none to give.
    pub(super) async fn start(&self, context: SessionContext) -> Result<Box<dyn Session>, TurnError> {
        Arc::clone(&self.adapter).start(context).await
    }

    /// Keeps a session; gives back one that has to go for it.
    pub(super) fn put(&self, conversation: &str, session: Box<dyn Session>) -> Option<Closing> {
        let mut idle = self.idle.lock();
        idle.push_back((conversation.to_owned(), session));
        if idle.len() <= IDLE {
            return None;
        }
        let (conversation, session) = idle.pop_front()?;
        Some(Closing { conversation, session })
    }

    /// Ends all of them, and then what they share.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        let ends = idle
            .into_iter()
            .map(|(conversation, session)| Closing { conversation, session }.finish());
        futures_util::future::join_all(ends).await;
        if timeout(Closing::GRACE, self.adapter.close()).await.is_err() {
            tracing::warn!(engine = self.adapter.name(), "the engine did not end in time");
        }
    }
}
