//! A spinner for whatever takes longer than a second.

use std::{future::Future, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::output::Output;

/// Work that is faster draws nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Awaits `work`; once that takes longer than a second, a spinner with `message` turns on standard error. The work gets
/// the spinner and may change its message.
pub async fn run<F: Future>(output: &Output, message: &str, work: impl FnOnce(ProgressBar) -> F) -> F::Output {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    spinner.set_message(message.to_owned());
    let mut work = std::pin::pin!(work(spinner.clone()));
    if output.shows_progress() {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PATIENCE) => {}
        }
        spinner.set_draw_target(ProgressDrawTarget::stderr());
        spinner.enable_steady_tick(Duration::from_millis(100));
    }
    let done = work.await;
    spinner.finish_and_clear();
    done
}
