//! What every service stands on.

use std::sync::Arc;

use molecule_store::{Clock, Store, StoreError, changes::Changes};

use crate::{config::Config, directory::Directory, events::Events, supervise::Supervisor};

/// Configuration, state, routes, events and background work: what nearly every service uses, handed to each as one.
/// Cheap to clone. What a service needs beyond it is named in its own `Parts`. Store and routes stay inside this crate.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "one field per service")]
pub struct Ground {
    pub config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub events: Events,
    pub supervisor: Supervisor,
}

impl Ground {
    /// Over a store. Nothing runs yet.
    ///
    /// # Errors
    /// The outbox could not be read.
    pub async fn new(config: Config, store: Store) -> Result<Self, StoreError> {
        Ok(Self {
            config: Arc::new(config),
            directory: Directory::new(store.clone()),
            events: Events::open(store.clone()).await?,
            supervisor: Supervisor::default(),
            store,
        })
    }

    /// The time that lifecycles are judged by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.store.clock()
    }

    /// Who is told when what is stored changes.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        self.store.changes()
    }
}
