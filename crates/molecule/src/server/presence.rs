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
        anchors: anchors.into_iter().map(|anchor| (anchor, false)).collect(),
        lost: lost.clone(),
    });
    lost
}

struct PresenceCheck {
    /// Each with whether it was not to be found out the last time, which is said once.
    anchors: Vec<(Anchor, bool)>,
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
        for (anchor, unknown) in &mut self.anchors {
            let file = anchor.path().display();
            match anchor.stands() {
                Ok(true) => {
                    if std::mem::take(unknown) {
                        tracing::info!(%file, "it is there as before");
                    }
                }
                Ok(false) => {
                    tracing::error!(%file, "deleted or replaced under this server");
                    self.lost.cancel();
                }
                Err(error) => {
                    if !std::mem::replace(unknown, true) {
                        tracing::warn!(%file, %error, "it is not known whether it is still there");
                    }
                    report.unknown += 1;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{self, Write},
        os::unix::fs::symlink,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// What is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_cannot_be_found_out_is_said_once() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _logged = tracing::subscriber::set_default(subscriber);
        let temp = tempfile::tempdir().unwrap();
        let (server, moved) = (temp.path().join("server"), temp.path().join("moved"));
        fs::create_dir(&server).unwrap();
        fs::write(server.join("lock"), "").unwrap();
        let mut check = PresenceCheck {
            anchors: vec![(Anchor::of(server.join("lock")).unwrap(), false)],
            lost: CancellationToken::new(),
        };
        fs::rename(&server, &moved).unwrap();
        // A link to itself is neither there nor gone, for root too.
        symlink("server", &server).unwrap();
        for _ in 0..3 {
            let mut report = Checked::default();
            check.activate(&mut report).await.unwrap();
            assert_eq!(report.unknown, 1);
        }
        fs::remove_file(&server).unwrap();
        fs::rename(&moved, &server).unwrap();
        for _ in 0..2 {
            check.activate(&mut Checked::default()).await.unwrap();
        }
        assert!(!check.lost.is_cancelled());
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("not known").count(), 1, "{text}");
        assert_eq!(text.matches("as before").count(), 1, "{text}");
    }
}
