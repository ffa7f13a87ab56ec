//! Where imported workspaces stand on the canvas (PROV-141). All lengths are canvas pixels.

const CELL: Size = Size {
    width: 240.0,
    height: 130.0,
};
const GUTTER: f64 = 14.0;
const HEADER: f64 = 130.0;
const SIDE: f64 = 16.0;
const COLUMNS: usize = 2;

/// A position.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

impl std::ops::Add for Point {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            x: self.x + other.x,
            y: self.y + other.y,
        }
    }
}

/// The box a workspace takes with everything below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size {
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// The box of a parent, or of a leaf if it has no children.
pub(crate) fn subtree(children: &[Size]) -> Size {
    if children.is_empty() {
        return CELL;
    }
    let columns = columns(children.len());
    let rows = row_heights(children);
    Size {
        width: 2.0 * SIDE + count(columns) * widest(children) + GUTTER * count(columns - 1),
        height: HEADER + rows.iter().sum::<f64>() + GUTTER * count(rows.len() - 1) + SIDE,
    }
}

/// Positions of the children inside their parent, in order.
pub(crate) fn slots(children: &[Size]) -> Vec<Point> {
    let columns = columns(children.len());
    let column_width = widest(children) + GUTTER;
    let mut tops = Vec::new();
    let mut y = HEADER;
    for height in row_heights(children) {
        tops.push(y);
        y += height + GUTTER;
    }
    (0..children.len())
        .map(|i| Point {
            x: SIDE + count(i % columns) * column_width,
            y: tops[i / columns],
        })
        .collect()
}

/// Positions of the roots: as the template says, else beside the root before, so that two never cover each other.
pub(crate) fn roots(roots: &[(Option<Point>, Size)]) -> Vec<Point> {
    let mut next = Point::default();
    roots
        .iter()
        .map(|(declared, size)| {
            let at = declared.unwrap_or(next);
            next = Point {
                x: at.x + size.width + GUTTER,
                y: at.y,
            };
            at
        })
        .collect()
}

fn columns(children: usize) -> usize {
    children.clamp(1, COLUMNS)
}

fn widest(children: &[Size]) -> f64 {
    children.iter().map(|size| size.width).fold(0.0, f64::max)
}

fn row_heights(children: &[Size]) -> Vec<f64> {
    let rows = children.chunks(columns(children.len()));
    rows.map(|row| row.iter().map(|size| size.height).fold(0.0, f64::max))
        .collect()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "children of one workspace are far fewer than 2^52"
)]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, y: f64) -> Point {
        Point { x, y }
    }

    #[test]
    fn leaf_and_small_parents() {
        // PROV-141
        assert_eq!(subtree(&[]), CELL);
        assert_eq!(
            subtree(&[CELL]),
            Size {
                width: 272.0,
                height: 276.0
            }
        );
        assert_eq!(
            subtree(&[CELL; 2]),
            Size {
                width: 526.0,
                height: 276.0
            }
        );
        assert_eq!(
            subtree(&[CELL; 3]),
            Size {
                width: 526.0,
                height: 420.0
            }
        );
        assert_eq!(slots(&[CELL]), [at(16.0, 130.0)]);
        assert_eq!(slots(&[CELL; 3]), [at(16.0, 130.0), at(270.0, 130.0), at(16.0, 274.0)]);
        assert!(slots(&[]).is_empty());
    }

    #[test]
    fn columns_are_as_wide_as_the_widest_and_rows_as_high_as_the_highest() {
        // PROV-141
        let big = subtree(&[CELL; 2]);
        let sizes = [CELL, big, CELL, CELL];
        assert_eq!(
            slots(&sizes),
            [at(16.0, 130.0), at(556.0, 130.0), at(16.0, 420.0), at(556.0, 420.0)]
        );
        assert_eq!(
            subtree(&sizes),
            Size {
                width: 32.0 + 2.0 * 526.0 + 14.0,
                height: 130.0 + 276.0 + 130.0 + 14.0 + 16.0
            }
        );
    }

    #[test]
    fn children_never_overlap_nor_leave_their_parent() {
        // PROV-141
        let leaf = CELL;
        let mid = subtree(&[leaf; 5]);
        for sizes in [vec![leaf; 7], vec![mid, leaf, leaf], vec![leaf, mid, mid, leaf, mid]] {
            let outer = subtree(&sizes);
            let placed: Vec<_> = slots(&sizes).into_iter().zip(&sizes).collect();
            for (i, (p, s)) in placed.iter().enumerate() {
                assert!(p.x >= SIDE && p.x + s.width <= outer.width - SIDE + 0.001);
                assert!(p.y >= HEADER && p.y + s.height <= outer.height - SIDE + 0.001);
                for (q, t) in &placed[i + 1..] {
                    let apart =
                        p.x + s.width <= q.x || q.x + t.width <= p.x || p.y + s.height <= q.y || q.y + t.height <= p.y;
                    assert!(apart, "{p:?} {q:?}");
                }
            }
        }
    }

    #[test]
    fn roots_stand_where_they_say_or_side_by_side() {
        // PROV-141
        let sizes = [(None, CELL), (None, CELL), (Some(at(5.0, 900.0)), CELL), (None, CELL)];
        assert_eq!(
            roots(&sizes),
            [at(0.0, 0.0), at(254.0, 0.0), at(5.0, 900.0), at(259.0, 900.0)]
        );
    }
}
