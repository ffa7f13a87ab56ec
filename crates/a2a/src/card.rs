//! Where an agent's card is served.

/// Below an agent's base address.
pub const CARD_PATH: &str = "/.well-known/agent-card.json";
/// Where older clients look for it.
pub const LEGACY_CARD_PATH: &str = "/.well-known/agent.json";
