//! Typed client of the HTTP API, for the CLI, the agent and tests.
//!
//! [`Client`] has one method per route. It never retries: only the caller knows whether sending again is safe.
//! Every failure is a [`ClientError`] whose text tells a person what to do.
//!
//! ```no_run
//! # async fn example() -> Result<(), molecule_client::ClientError> {
//! let client = molecule_client::Client::new("http://127.0.0.1:8080", Some("token".into()))?;
//! for item in client.list_workspaces().await? {
//!     println!("{} {}", item.workspace.id, item.workspace.name);
//! }
//! # Ok(())
//! # }
//! ```

mod a2a;
mod activity;
mod agents;
mod audit;
mod budget;
mod call;
mod canvas;
mod error;
mod events;
mod models;
mod ops;
mod orgs;
mod registry;
mod secrets;
mod tokens;
mod workspaces;

pub use a2a::{A2aAnswer, A2aOptions, A2aReply, SseStream};
pub use activity::{ActivityFilter, ActivitySource};
pub use audit::AuditQuery;
pub use call::{Client, EVENT_STREAM};
pub use error::{ClientError, StatusError};
pub use events::EventStream;
pub use models::{ModelsError, list_anthropic_models, list_models};
/// A frame of an agent's event stream.
pub use molecule_a2a::sse::Frame as SseFrame;
pub use workspaces::DeleteAnswer;
