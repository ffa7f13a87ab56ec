//! Which assigned addresses may be dialled: those of instances that this server started or adopted, for as long as they
//! live (D13, D32). A stored address proves nothing. After a crash of the agent, of the server or of the machine it may
//! be anybody's.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use molecule_backends::{Backend, Running};
use molecule_core::WorkspaceId;
use molecule_store::changes::{Changes, Follower};
use parking_lot::RwLock;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::{
    Pool,
    connect::{BoxError, Connector},
    pool,
};

/// The instance is not known to live: nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the instance is not known to run")]
pub struct NotLive;

/// Instances that live as far as this server knows. Cheap to clone.
#[derive(Clone)]
pub struct LiveInstances {
    inner: Arc<Inner>,
}

struct Inner {
    /// Without one nothing lives.
    backend: Option<Arc<dyn Backend>>,
    tls: Arc<ClientConfig>,
    by_workspace: RwLock<HashMap<WorkspaceId, Arc<Instance>>>,
}

impl fmt::Debug for LiveInstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveInstances").finish_non_exhaustive()
    }
}

/// An instance of an agent at its assigned address, with the connections to it: they are nobody else's.
pub struct Instance {
    uri: Uri,
    life: Arc<Life>,
    pub(super) pool: Pool<ToInstance>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("workspace", &self.life.workspace)
            .field("generation", &self.life.generation)
            .finish_non_exhaustive()
    }
}

impl Instance {
    /// Where it listens.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }
}

struct Life {
    workspace: WorkspaceId,
    generation: i64,
    backend: Arc<dyn Backend>,
    /// Its end was noticed or asked for. Set before anything else is started for the workspace.
    ended: AtomicBool,
}

impl Life {
    /// Does it still run? The backend's yes is of this instance: had another one been started since, this one would be
    /// marked as ended.
    async fn goes_on(&self) -> bool {
        let running = self.backend.running(self.workspace).await;
        if let Running::Unknown(error) = &running {
            tracing::warn!(workspace = %self.workspace, %error, "not dialled: cannot tell whether the instance runs");
        }
        matches!(running, Running::Yes) && !self.ended.load(Ordering::Acquire)
    }
}

impl LiveInstances {
    /// Of a backend; none lives yet. An instance of a removed workspace is not dialled any more, whether or not it could
    /// be stopped.
    #[must_use]
    pub fn new(backend: Option<Arc<dyn Backend>>, changes: &Changes) -> Self {
        let inner = Arc::new(Inner {
            backend,
            tls: Connector::tls(),
            by_workspace: RwLock::default(),
        });
        changes.follow(&inner);
        Self { inner }
    }

    /// An instance was started or adopted. One without an address cannot be dialled.
    pub fn began(&self, workspace: WorkspaceId, generation: i64, endpoint: Option<&str>) {
        self.ended(workspace);
        let (Some(backend), Some(endpoint)) = (&self.inner.backend, endpoint) else {
            return;
        };
        let uri = match endpoint.parse::<Uri>() {
            Ok(uri) => uri,
            Err(error) => {
                tracing::error!(%workspace, %error, "the address of an instance is none");
                return;
            }
        };
        let life = Arc::new(Life {
            workspace,
            generation,
            backend: backend.clone(),
            ended: AtomicBool::new(false),
        });
        let connector = ToInstance {
            connector: Connector::trusting(self.inner.tls.clone()),
            life: life.clone(),
        };
        let instance = Instance {
            uri,
            life,
            pool: pool(connector),
        };
        self.inner.by_workspace.write().insert(workspace, Arc::new(instance));
    }

    /// Whatever runs for the workspace has ended or is about to be ended.
    pub fn ended(&self, workspace: WorkspaceId) {
        self.inner.forget(workspace);
    }

    /// The instance of that generation has ended.
    pub fn ended_of(&self, workspace: WorkspaceId, generation: i64) {
        let mut instances = self.inner.by_workspace.write();
        if let Some(instance) = instances.get(&workspace)
            && instance.life.generation == generation
        {
            instance.life.ended.store(true, Ordering::Release);
            instances.remove(&workspace);
        }
    }

    /// The instance, if it is of that generation and lives as far as is known.
    ///
    /// # Errors
    /// [`NotLive`].
    pub fn find(&self, workspace: WorkspaceId, generation: i64) -> Result<Arc<Instance>, NotLive> {
        let instances = self.inner.by_workspace.read();
        let instance = instances
            .get(&workspace)
            .filter(|instance| instance.life.generation == generation);
        instance.cloned().ok_or(NotLive)
    }
}

impl Inner {
    fn forget(&self, workspace: WorkspaceId) {
        if let Some(instance) = self.by_workspace.write().remove(&workspace) {
            instance.life.ended.store(true, Ordering::Release);
        }
    }
}

// Not `PerWorkspace`: who holds an instance has to see that it is forgotten.
impl Follower for Inner {
    fn gone(&self, workspace: WorkspaceId) {
        self.forget(workspace);
    }
}

/// Connects to one instance, and gives the connection away only if the instance lived when it was made.
#[derive(Clone)]
pub(super) struct ToInstance {
    connector: Connector,
    life: Arc<Life>,
}

impl Service<Uri> for ToInstance {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.connector.call(uri);
        let life = self.life.clone();
        Box::pin(async move {
            let stream = connecting.await?;
            // Asked once the connection is there: an instance that lives now had the port when it was made. Asked
            // before, it could have died in between, and somebody else have answered.
            if life.goes_on().await {
                Ok(stream)
            } else {
                Err(NotLive.into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;
    use molecule_testkit::backend::ScriptedBackend;
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn an_instance_that_was_replaced_is_dialled_no_more() {
        // D32: though another one of the same generation runs by now.
        let backend = ScriptedBackend::default();
        let changes = Changes::default();
        let instances = LiveInstances::new(Some(Arc::new(backend.clone())), &changes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let id = WorkspaceId::random();
        backend.leave_behind(id, 0, &url);
        instances.began(id, 0, Some(&url));
        assert!(instances.find(id, 1).is_err());
        let before = instances.find(id, 0).unwrap();
        instances.began(id, 0, Some("http://127.0.0.1:1/"));
        let request = http::Request::post(before.uri().clone()).body(Full::<Bytes>::default());
        let sent = tokio::spawn(async move { before.pool.request(request.unwrap()).await });
        let (mut stranger, _) = listener.accept().await.unwrap();
        assert!(sent.await.unwrap().is_err());
        assert_eq!(stranger.read(&mut [0; 1]).await.unwrap(), 0, "nothing was said");
        instances.ended_of(id, 1);
        assert!(instances.find(id, 0).is_ok());
        instances.ended_of(id, 0);
        assert!(instances.find(id, 0).is_err());
    }

    #[tokio::test]
    async fn an_instance_of_a_removed_workspace_is_dialled_no_more() {
        // LIFE-106: though its stop has failed, and though somebody has found it already.
        let backend = ScriptedBackend::default();
        let changes = Changes::default();
        let instances = LiveInstances::new(Some(Arc::new(backend.clone())), &changes);
        let (gone, stays) = (WorkspaceId::random(), WorkspaceId::random());
        for id in [gone, stays] {
            backend.leave_behind(id, 0, "http://127.0.0.1:1/");
            instances.began(id, 0, Some("http://127.0.0.1:1/"));
        }
        let found = instances.find(gone, 0).unwrap();
        changes.changed(gone);
        assert!(found.life.goes_on().await);
        changes.gone(gone);
        assert!(instances.find(gone, 0).is_err() && !found.life.goes_on().await);
        assert!(instances.find(stays, 0).is_ok());
    }
}
