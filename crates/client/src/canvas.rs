//! What the canvas keeps on the server.

use molecule_wire::{StatusBody, canvas::Viewport};
use reqwest::Method;

use crate::{Client, ClientError};

impl Client {
    /// `GET /canvas/viewport` (ACT-218).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn viewport(&self) -> Result<Viewport, ClientError> {
        self.get(&["canvas", "viewport"]).json().await
    }

    /// `PUT /canvas/viewport`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_viewport(&self, viewport: Viewport) -> Result<StatusBody, ClientError> {
        self.call(Method::PUT, &["canvas", "viewport"])
            .body(&viewport)?
            .json()
            .await
    }
}
