//! What is logged, kept for a look at it.

use std::{io::Write, sync::Arc};

use parking_lot::Mutex;

/// Takes what is written to it. Clones share it: `move || captured.clone()` makes writers of a subscriber.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// All that came so far.
    ///
    /// # Panics
    /// It is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("logs are text")
    }

    /// Forgets it.
    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
