//! A data directory that is taken away or replaced under the running server: what is written then is lost.

use std::{convert::Infallible, time::Duration};

use molecule_platform::supervise::{Job, Supervisor};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::boot::Anchor;

/// Looks after the files until the server stops. The token is cancelled when one is gone or is another.
pub(super) fn watch(anchors: Vec<Anchor>, supervisor: &Supervisor) -> CancellationToken {
    let lost = CancellationToken::new();
    supervisor.job(PresenceCheck {
        anchors,
        lost: lost.clone(),
    });
    lost
}

struct PresenceCheck {
    anchors: Vec<Anchor>,
    lost: CancellationToken,
}

#[derive(Default, Serialize)]
struct Checked {
    /// Files of which it could not be found out.
    unknown: u32,
}

impl Job for PresenceCheck {
    const NAME: &'static str = "data-directory";
    const DESCRIPTION: &'static str = "Looks whether the data directory is still the one this server began with";
    type Report = Checked;
    type Error = Infallible;

    fn period(&self) -> Duration {
        Duration::from_secs(2)
    }

    async fn activate(&mut self, report: &mut Checked) -> Result<(), Infallible> {
        for anchor in &self.anchors {
            let file = anchor.path().display();
            match anchor.stands() {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(%file, "deleted or replaced under this server");
                    self.lost.cancel();
                }
                Err(error) => {
                    tracing::warn!(%file, %error, "it is not known whether it is still there");
                    report.unknown += 1;
                }
            }
        }
        Ok(())
    }
}
