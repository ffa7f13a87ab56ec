//! Which rows belong to a workspace. The schema itself says so, so that a tenant of the database that keeps something by
//! workspace appears in no list here: a table belongs to the workspaces that a foreign key of it names, unless the key
//! says itself what becomes of the row, or that its column `workspace_id` names.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, Statement};

use crate::StoreError;

/// Rows that outlive the workspace they speak of.
const OUTLIVING: [&str; 2] = ["structure_events", "audit_records"];

/// What a purge of workspaces must do before it deletes their rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Belongings {
    /// Tables to be deleted from by column, leaves first (LIFE-111).
    pub(super) deleted: Vec<(String, String)>,
    /// Columns of the workspaces' own table that are to be cleared.
    pub(super) cleared: Vec<String>,
}

/// A foreign key.
#[derive(Debug, Clone, FromQueryResult)]
struct Key {
    from_table: String,
    from_column: String,
    to_table: String,
    /// It forbids deleting what it names.
    forbids: i32,
}

#[derive(FromQueryResult)]
struct Table {
    name: String,
}

const SQLITE_KEYS: &str = "SELECT m.name AS from_table, f.\"from\" AS from_column, f.\"table\" AS to_table,
    f.on_delete IN ('NO ACTION', 'RESTRICT') AS forbids
    FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'";
const SQLITE_BY_COLUMN: &str = "SELECT m.name AS name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND c.name = 'workspace_id'";
const POSTGRES_KEYS: &str = "SELECT c.relname::text AS from_table, a.attname::text AS from_column,
    t.relname::text AS to_table, (k.confdeltype IN ('a', 'r'))::int AS forbids
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    WHERE k.contype = 'f' AND c.relnamespace = current_schema()::regnamespace";
const POSTGRES_BY_COLUMN: &str =
    "SELECT c.relname::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attname = 'workspace_id'
    AND NOT a.attisdropped";

impl Belongings {
    pub(super) async fn read(tx: &DatabaseTransaction) -> Result<Self, StoreError> {
        let backend = tx.get_database_backend();
        let (keys, by_column) = match backend {
            DbBackend::Postgres => (POSTGRES_KEYS, POSTGRES_BY_COLUMN),
            _ => (SQLITE_KEYS, SQLITE_BY_COLUMN),
        };
        let keys = Key::find_by_statement(Statement::from_string(backend, keys))
            .all(tx)
            .await?;
        let tables = Table::find_by_statement(Statement::from_string(backend, by_column))
            .all(tx)
            .await?;
        Ok(Self::of(&keys, tables.into_iter().map(|table| table.name)))
    }

    fn of(keys: &[Key], by_column: impl Iterator<Item = String>) -> Self {
        let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for table in by_column.filter(|table| !OUTLIVING.contains(&table.as_str())) {
            columns.entry(table).or_default().insert("workspace_id".to_owned());
        }
        let mut cleared = Vec::new();
        let binding = |key: &&Key| key.to_table == "workspaces" && key.forbids != 0;
        for key in keys.iter().filter(binding) {
            if key.from_table == "workspaces" {
                cleared.push(key.from_column.clone());
            } else {
                columns
                    .entry(key.from_table.clone())
                    .or_default()
                    .insert(key.from_column.clone());
            }
        }
        cleared.sort_unstable();
        Self {
            deleted: leaves_first(columns, keys),
            cleared,
        }
    }
}

/// In an order in which no table is emptied while another one still names its rows.
fn leaves_first(mut columns: BTreeMap<String, BTreeSet<String>>, keys: &[Key]) -> Vec<(String, String)> {
    let mut ordered = Vec::new();
    while !columns.is_empty() {
        let named = |table: &String| {
            keys.iter()
                .any(|key| key.to_table == *table && key.from_table != *table && columns.contains_key(&key.from_table))
        };
        // Tables that name each other have no order; their keys are to say what becomes of the rows.
        let next = columns
            .keys()
            .find(|table| !named(table))
            .or(columns.keys().next())
            .cloned();
        let Some((table, of)) = next.and_then(|table| columns.remove_entry(&table)) else {
            break;
        };
        ordered.extend(of.into_iter().map(|column| (table.clone(), column)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(from: (&str, &str), to: &str, forbids: bool) -> Key {
        Key {
            from_table: from.0.to_owned(),
            from_column: from.1.to_owned(),
            to_table: to.to_owned(),
            forbids: i32::from(forbids),
        }
    }

    #[test]
    fn leaves_come_first_and_what_the_keys_settle_is_left_to_them() {
        // LIFE-111
        let keys = [
            key(("workspaces", "parent_id"), "workspaces", true),
            key(("albums", "owner"), "workspaces", true),
            key(("photos", "workspace_id"), "workspaces", true),
            key(("photos", "album"), "albums", true),
            key(("tokens", "org_id"), "workspaces", false),
            key(("prints", "photo"), "photos", false),
        ];
        let tables = ["structure_events", "photos", "log"].map(str::to_owned);
        let found = Belongings::of(&keys, tables.into_iter());
        let deleted = [("log", "workspace_id"), ("photos", "workspace_id"), ("albums", "owner")];
        assert_eq!(
            found.deleted,
            deleted.map(|(table, column)| (table.to_owned(), column.to_owned()))
        );
        assert_eq!(found.cleared, ["parent_id"]);
    }
}
