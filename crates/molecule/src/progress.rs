//! A spinner for whatever takes longer than a second.

use std::{future::Future, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Work that is faster draws nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Awaits `work`; once that takes longer than a second, a spinner with `message` turns on standard error. The work gets
/// the spinner and may change its message.
pub async fn run<F: Future>(output: &Output, message: &str, work: impl FnOnce(ProgressBar) -> F) -> F::Output {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style());
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

/// A turning sign, what is waited for, and for how long. (The default of a bar without a length is `0/0`.)
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use indicatif::TermLike;

    use super::*;

    /// Remembers what was written, wherever the cursor stood.
    #[derive(Debug, Clone, Default)]
    struct Written(Arc<Mutex<String>>);

    impl TermLike for Written {
        fn width(&self) -> u16 {
            60
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_message_shows() {
        let terminal = Written::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let spinner = ProgressBar::with_draw_target(None, target).with_style(style());
        spinner.set_message("waiting for Lead");
        spinner.tick();
        let shown = terminal.0.lock().unwrap().clone();
        assert!(
            shown.contains("waiting for Lead") && !shown.contains("0/0"),
            "{shown:?}"
        );
    }
}
