//! What the canvas looks at (ACT-218). Who opens it next begins there.

use molecule_store::{Store, StoreError, viewport::Viewport};
use molecule_wire::canvas;

/// What is seen before anybody has looked elsewhere.
const FIRST: Viewport = Viewport {
    x: 0.0,
    y: 0.0,
    zoom: 1.0,
};

/// Keeps the viewport. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Canvas {
    store: Store,
}

impl Canvas {
    /// Over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The viewport. One that cannot be read is no reason not to show the organisation: it is the first one then.
    pub async fn viewport(&self) -> canvas::Viewport {
        let stored = self.store.viewport().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "viewport not read");
            None
        });
        let Viewport { x, y, zoom } = stored.unwrap_or(FIRST);
        canvas::Viewport { x, y, zoom }
    }

    /// Keeps the viewport.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_viewport(&self, canvas::Viewport { x, y, zoom }: canvas::Viewport) -> Result<(), StoreError> {
        self.store.put_viewport(Viewport { x, y, zoom }).await
    }
}
