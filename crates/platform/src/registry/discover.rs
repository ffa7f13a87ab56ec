use std::sync::Arc;

use molecule_a2a::card::readdressed;
use molecule_core::WorkspaceId;
use molecule_store::{StoreError, workspaces::Workspace};
use molecule_wire::registry::Discovered;

use super::Registry;
use crate::{dial, lifecycle::is_external};

/// Why a target was not disclosed (REG-83…85).
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The hierarchy forbids it; also for unknown targets.
    #[error("not authorized to discover this workspace")]
    Forbidden,
    /// No such workspace (self only; others are forbidden).
    #[error("workspace not found")]
    NotFound,
    /// Its status does not allow it to be reached.
    #[error("workspace not available")]
    Unavailable(molecule_core::WorkspaceStatus),
    /// Its URL may not be handed out (SEC-174).
    #[error("workspace URL failed safety check")]
    Unsafe,
    /// The lookup failed.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

/// Peers of a workspace, in the order of REG-86.
pub type PeerList = Vec<Workspace>;

impl Registry {
    /// May the two talk? (REG-81)
    pub async fn check_access(&self, caller: WorkspaceId, target: WorkspaceId) -> bool {
        self.inner.directory.can_communicate(caller, target).await
    }

    /// Where `caller` reaches `target` (REG-84, REG-85). Agents whose address the backend assigned accept only the
    /// platform (D13), and poll-mode agents none at all: for them it is the platform's own address, which for callers
    /// elsewhere begins with `base` (D28).
    ///
    /// # Errors
    /// [`DiscoverError`].
    pub async fn discover(
        &self,
        caller: WorkspaceId,
        target: WorkspaceId,
        base: &str,
    ) -> Result<Discovered, DiscoverError> {
        if !self.inner.directory.can_communicate(caller, target).await {
            return Err(DiscoverError::Forbidden);
        }
        let route = self
            .inner
            .directory
            .route(target)
            .await?
            .ok_or(DiscoverError::NotFound)?;
        let caller = self.inner.directory.route(caller).await?;
        let managed = caller.is_some_and(|caller| !caller.is_external());
        if is_reported(route.is_external(), &route.url, route.url_assigned) {
            let from_container = self.inner.provisioner.own_network() && managed;
            let url = if from_container {
                for_container(&route.url)
            } else {
                route.url.to_string()
            };
            dial::check(&url, self.inner.config.netguard)
                .await
                .map_err(|_| DiscoverError::Unsafe)?;
            return Ok(Discovered {
                id: target,
                url,
                name: route.name.to_string(),
            });
        }
        if !route.status.is_alive() && !route.is_external() {
            return Err(DiscoverError::Unavailable(route.status));
        }
        Ok(Discovered {
            id: target,
            url: platform_address(self.base_for(managed, base), target),
            name: route.name.to_string(),
        })
    }

    /// Siblings, children, parent (REG-86), filtered by `query` in name or role (REG-88). Their addresses are what
    /// [`Registry::discover`] would tell.
    ///
    /// # Errors
    /// [`DiscoverError::NotFound`] for an unknown id, or the lookup failed.
    pub async fn peers(&self, id: WorkspaceId, query: Option<&str>, base: &str) -> Result<PeerList, DiscoverError> {
        let route = self.inner.directory.route(id).await?.ok_or(DiscoverError::NotFound)?;
        let mut peers = self.inner.store.peers(id, route.parent).await?;
        if let Some(query) = query.map(str::trim).filter(|query| !query.is_empty()) {
            let query = query.to_lowercase();
            let matches = |text: &str| text.to_lowercase().contains(&query);
            peers.retain(|peer| matches(&peer.name) || peer.role.as_deref().is_some_and(matches));
        }
        let base = self.base_for(!route.is_external(), base);
        for peer in &mut peers {
            if let Some(pulse) = self.inner.pulses.latest(peer.id) {
                peer.active_tasks = pulse.active_tasks;
            }
            readdress(peer, base);
        }
        Ok(peers)
    }

    /// Whom the platform runs reaches it at the address that its backend was given.
    fn base_for<'a>(&'a self, managed: bool, base: &'a str) -> &'a str {
        let own = if managed { &self.inner.config.platform_url } else { base };
        own.trim_end_matches('/')
    }
}

/// What a peer is told of where another one is, is what [`Registry::discover`] would tell, in its card too: clients send
/// their own credential there.
fn readdress(peer: &mut Workspace, base: &str) {
    let external = is_external(&peer.runtime);
    if is_reported(external, &peer.url, peer.url_assigned) {
        return;
    }
    let address = platform_address(base, peer.id);
    if let Some(card) = &mut peer.agent_card {
        *card = readdressed(card, &address);
    }
    // An agent that is not there has no address yet.
    peer.url = if external || peer.status.is_alive() {
        address
    } else {
        String::new()
    };
}

/// Where the platform takes messages for a workspace.
fn platform_address(base: &str, id: WorkspaceId) -> String {
    format!("{base}/workspaces/{id}/a2a")
}

/// Does an agent say by itself where it is? Others reach it there then, without the platform.
fn is_reported(external: bool, url: &str, assigned: bool) -> bool {
    external && !url.is_empty() && !assigned
}

/// The platform host as a container sees it: the first loopback spelling of each kind is replaced (REG-84). An agent
/// that is a process on the server's own host knows no such name.
fn for_container(url: &Arc<str>) -> String {
    url.replacen("127.0.0.1", "host.docker.internal", 1)
        .replacen("localhost", "host.docker.internal", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_reach_the_host_by_its_name() {
        // REG-84
        for (url, rewritten) in [
            ("http://localhost:9/a", "http://host.docker.internal:9/a"),
            (
                "http://127.0.0.1:9/127.0.0.1",
                "http://host.docker.internal:9/127.0.0.1",
            ),
            ("https://agent.example/", "https://agent.example/"),
        ] {
            assert_eq!(for_container(&Arc::from(url)), rewritten);
        }
    }
}
