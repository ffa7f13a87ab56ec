//! What the web UI keeps on the server (`activity.md` §11).

use serde::{Deserialize, Serialize};

/// `GET` and `PUT /canvas/viewport` (ACT-218): what the canvas looks at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Viewport {
    /// Shift of the chart to the right, in pixels; 0 if absent.
    #[serde(default)]
    pub x: f64,
    /// Shift of the chart downwards, in pixels; 0 if absent.
    #[serde(default)]
    pub y: f64,
    /// How much the chart is enlarged; 0 if absent.
    #[serde(default)]
    pub zoom: f64,
}
