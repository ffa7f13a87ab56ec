//! What is kept in memory by workspace. Both kinds follow the store's change feed by themselves, so that whoever changes
//! or removes something needs no list of them.

mod cache;
mod map;

pub(crate) use cache::Cache;
pub(crate) use map::PerWorkspace;
