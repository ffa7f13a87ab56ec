//! What one peer may take of the server. Below the routes: nothing here knows which request it serves.

mod bodies;
mod holder;

pub(crate) use bodies::{BodyMemory, Share, Taken, Unreadable};
pub(crate) use holder::Holder;

use crate::guard::address_key;
