//! Schema history. Each migration holds frozen literals: it never reads today's enums, so that an upgraded database
//! and a fresh one are the same. `tests/suite/schema.rs` proves that today's enums still fit.

use molecule_db::migrate::History;

mod m0001_initial;
mod m0002_canvas_viewport;
mod m0003_lifecycle;
mod m0004_credentials;

/// Every migration of the store, oldest first. The table's name is older than the migrator.
pub(crate) const HISTORY: History = History {
    table: "seaql_migrations",
    migrations: &[
        m0001_initial::MIGRATION,
        m0002_canvas_viewport::MIGRATION,
        m0003_lifecycle::MIGRATION,
        m0004_credentials::MIGRATION,
    ],
};
