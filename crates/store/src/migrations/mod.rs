//! Schema history. Each migration holds frozen literals: it never reads today's enums, so that an upgraded database
//! and a fresh one are the same. `tests/suite/schema.rs` proves that today's enums still fit.

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

mod m0001_initial;

/// Every migration, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_initial::Migration)]
    }
}
