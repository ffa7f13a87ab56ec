//! What the canvas looks at, for whoever opens it next.

use molecule_db::migrate::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "m0002_canvas_viewport",
    statements: &["CREATE TABLE canvas_viewport (
        id {int} NOT NULL PRIMARY KEY CONSTRAINT canvas_viewport_one CHECK (id = 1),
        x {real} NOT NULL,
        y {real} NOT NULL,
        zoom {real} NOT NULL
    ) {strict}"],
};
