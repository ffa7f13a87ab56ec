//! What the canvas looks at (ACT-218): one row for the whole organisation.

use sea_orm::{EntityTrait, Set, sea_query::OnConflict};

use crate::{Store, StoreError, entities::viewport};

/// The only row's key.
const ROW: i32 = 1;

/// A place on the canvas, in its own units, and how much it is enlarged.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Viewport {
    pub x: f64,
    pub y: f64,
    pub zoom: f64,
}

impl Store {
    /// Stores the viewport, replacing an earlier one.
    ///
    /// # Errors
    /// The write failed.
    pub async fn put_viewport(&self, Viewport { x, y, zoom }: Viewport) -> Result<(), StoreError> {
        let row = viewport::ActiveModel {
            id: Set(ROW),
            x: Set(x),
            y: Set(y),
            zoom: Set(zoom),
        };
        let replace = OnConflict::column(viewport::Column::Id)
            .update_columns([viewport::Column::X, viewport::Column::Y, viewport::Column::Zoom])
            .to_owned();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    viewport::Entity::insert(row)
                        .on_conflict(replace)
                        .exec_without_returning(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// The stored viewport; `None` before the first one.
    ///
    /// # Errors
    /// The query failed.
    pub async fn viewport(&self) -> Result<Option<Viewport>, StoreError> {
        let row = viewport::Entity::find_by_id(ROW).one(self.db.reader()).await?;
        Ok(row.map(|row| Viewport {
            x: row.x,
            y: row.y,
            zoom: row.zoom,
        }))
    }
}
