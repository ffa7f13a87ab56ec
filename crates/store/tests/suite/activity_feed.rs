//! Reading the feed.

use std::time::Duration;

use molecule_core::{
    ActivityId, Timestamp, Word, WorkspaceId,
    activity::{ActivityFilter, ActivityType, SourceFilter},
    limits,
};
use molecule_store::{
    Store,
    activity::{Activity, ActivityWriter, Durability, FeedError, NewActivity},
};
use sea_orm::prelude::Uuid;

use crate::support::{execute, open};

struct World {
    store: Store,
    workspace: WorkspaceId,
    peers: [WorkspaceId; 2],
    /// Everything in the workspace's feed, oldest first.
    rows: Vec<Activity>,
    /// A row of another workspace.
    foreign: ActivityId,
}

/// Rows of every kind of origin: people, agents in both directions, themselves, strangers.
async fn world(url: &str) -> World {
    let store = open(url).await;
    let writer = ActivityWriter::start(&store).unwrap();
    let [workspace, p, q, other] = [(); 4].map(|()| WorkspaceId::random());
    let kinds = [ActivityType::A2aReceive, ActivityType::A2aSend, ActivityType::AgentLog];
    let ends = [
        (None, None),
        (Some(p), Some(workspace)),
        (Some(workspace), Some(p)),
        (Some(p), Some(p)),
        (Some(q), Some(workspace)),
        (None, Some(p)),
        (Some(p), None),
        (Some(p), Some(q)),
    ];
    for kind in kinds {
        for (source_id, target_id) in ends {
            let row = NewActivity {
                source_id,
                target_id,
                ..NewActivity::new(workspace, kind)
            };
            writer.record(row, Durability::Process).await.unwrap();
        }
    }
    // The same ends in another workspace's feed must never show.
    let foreign = NewActivity {
        source_id: Some(p),
        target_id: Some(q),
        ..NewActivity::new(other, kinds[0])
    };
    writer.record(foreign.clone(), Durability::Process).await.unwrap();
    let mut rows = store.activity_feed(workspace, &all()).await.unwrap();
    rows.reverse();
    assert_eq!(rows.len(), 24);
    World {
        store,
        workspace,
        peers: [p, q],
        rows,
        foreign: foreign.id,
    }
}

fn all() -> ActivityFilter {
    ActivityFilter {
        limit: 1_000,
        ..ActivityFilter::default()
    }
}

/// The rules of the feed, applied to rows in memory (ACT-20…28).
fn expected(rows: &[Activity], filter: &ActivityFilter) -> Vec<ActivityId> {
    let after = filter.after.map(|id| rows.iter().find(|row| row.id == id).unwrap().seq);
    let mut found: Vec<&Activity> = rows
        .iter()
        .filter(|row| {
            filter
                .activity_type
                .as_ref()
                .is_none_or(|kind| row.activity_type == *kind)
        })
        .filter(|row| match filter.source {
            None => true,
            Some(SourceFilter::Canvas) => row.source_id.is_none(),
            Some(SourceFilter::Agent) => row.source_id.is_some(),
        })
        .filter(|row| filter.peer.is_none() || row.source_id == filter.peer || row.target_id == filter.peer)
        .filter(|row| filter.since.is_none_or(|since| row.created_at >= since))
        .filter(|row| filter.before.is_none_or(|before| row.created_at < before))
        .filter(|row| after.is_none_or(|after| row.seq > after))
        .collect();
    if after.is_none() {
        found.reverse();
    }
    found
        .into_iter()
        .take(usize::try_from(filter.limit).unwrap())
        .map(|row| row.id)
        .collect()
}

async fn ids(world: &World, filter: &ActivityFilter) -> Vec<ActivityId> {
    world
        .store
        .activity_feed(world.workspace, filter)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.id)
        .collect()
}

molecule_testkit::both_engines! {
    async fn a_page_ends_where_its_rows_get_too_long(url: String) {
        // ACT-22, ACT-23: what is cut off comes with the next page, in either direction.
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let third = usize::try_from(limits::ACTIVITY_PAGE_BYTES).unwrap() / 3;
        let mut recorded = Vec::new();
        for bytes in [1, third, third, 4 * third, third, third, third, 8] {
            let row = NewActivity {
                response_body: Some("x".repeat(bytes).into()),
                ..NewActivity::new(workspace, ActivityType::A2aReceive)
            };
            recorded.push(row.id);
            writer.record(row, Durability::Process).await.unwrap();
        }
        let read = async |filter: ActivityFilter| {
            let rows = store.activity_feed(workspace, &filter).await.unwrap();
            rows.into_iter().map(|row| (row.id, row.created_at)).collect::<Vec<_>>()
        };
        let (mut pages, mut forward) = (Vec::new(), vec![recorded[0]]);
        loop {
            let page = read(ActivityFilter {
                after: forward.last().copied(),
                ..all()
            })
            .await;
            if page.is_empty() {
                break;
            }
            pages.push(page.len());
            forward.extend(page.iter().map(|(id, _)| *id));
        }
        assert_eq!((forward, pages), (recorded.clone(), vec![2, 1, 3, 1]));
        let (mut pages, mut back, mut before) = (Vec::new(), Vec::new(), None);
        loop {
            let page = read(ActivityFilter { before, ..all() }).await;
            let Some((_, oldest)) = page.last() else { break };
            before = Some(*oldest);
            pages.push(page.len());
            back.extend(page.iter().map(|(id, _)| *id));
        }
        back.reverse();
        assert_eq!((back, pages), (recorded, vec![3, 1, 1, 3]));
    }

    // ACT-16, ACT-20, ACT-22, ACT-23, ACT-27, ACT-28: every combination of filters.
    async fn filters_compose(url: String) {
        let world = world(&url).await;
        let [p, q] = world.peers;
        let (early, late) = (world.rows[5].created_at, world.rows[18].created_at);
        let kinds = [None, Some("a2a_receive"), Some("agent_log"), Some("unheard_of")];
        let sources = [None, Some(SourceFilter::Canvas), Some(SourceFilter::Agent)];
        let peers = [None, Some(p), Some(q), Some(WorkspaceId::random())];
        let cursors = [None, Some(world.rows[9].id), Some(world.rows[23].id)];
        for kind in kinds {
            for source in sources {
                for peer in peers {
                    for (since, before) in [
                        (None, None),
                        (Some(early), None),
                        (None, Some(late)),
                        (Some(early), Some(late)),
                    ] {
                        for after in cursors {
                            for limit in [0, 3, 1_000] {
                                let activity_type = kind.map(Word::from);
                                let filter = ActivityFilter {
                                    activity_type,
                                    source,
                                    peer,
                                    since,
                                    before,
                                    after,
                                    limit,
                                };
                                assert_eq!(ids(&world, &filter).await, expected(&world.rows, &filter), "{filter:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    // ACT-22: paging by `before` backwards and by cursor forwards meets every row once.
    async fn pages_neither_repeat_nor_skip(url: String) {
        let world = world(&url).await;
        let order: Vec<_> = world.rows.iter().map(|row| row.id).collect();
        let mut backwards = Vec::new();
        let mut before = None;
        loop {
            let page = ActivityFilter {
                before,
                limit: 5,
                ..ActivityFilter::default()
            };
            let rows = world.store.activity_feed(world.workspace, &page).await.unwrap();
            let Some(last) = rows.last() else { break };
            before = Some(last.created_at);
            backwards.extend(rows.iter().map(|row| row.id));
        }
        backwards.reverse();
        assert_eq!(backwards, order);

        let mut forwards = vec![order[0]];
        loop {
            let after = forwards.last().copied();
            let rows = ids(
                &world,
                &ActivityFilter {
                    after,
                    limit: 5,
                    ..ActivityFilter::default()
                },
            )
            .await;
            if rows.is_empty() {
                break;
            }
            forwards.extend(rows);
        }
        assert_eq!(forwards, order);
    }

    // SEC-148: PostgreSQL refuses NUL in text; whoever asks for it finds nothing.
    async fn a_kind_that_cannot_be_stored(url: String) {
        let world = world(&url).await;
        let filter = ActivityFilter {
            activity_type: Some(Word::from("\0")),
            ..all()
        };
        assert!(ids(&world, &filter).await.is_empty());
    }

    // ACT-25, ACT-26: foreign, unknown, all-zero and pruned cursors cannot be told apart.
    async fn a_cursor_that_is_not_there(url: String) {
        let world = world(&url).await;
        let pruned = world.rows[0].id;
        let values = [pruned.uuid().into()];
        assert_eq!(
            execute(&world.store, "DELETE FROM activity_logs WHERE id = $1", values)
                .await
                .unwrap(),
            1
        );
        let nobody = [Uuid::nil(), Uuid::max(), Uuid::from_u128(1)].map(ActivityId::from_uuid);
        let mut answers = std::collections::BTreeSet::new();
        for after in nobody.into_iter().chain([pruned, world.foreign]) {
            for peer in [None, Some(world.peers[0])] {
                let filter = ActivityFilter {
                    after: Some(after),
                    peer,
                    ..all()
                };
                let refused = world.store.activity_feed(world.workspace, &filter).await.unwrap_err();
                assert!(matches!(refused, FeedError::CursorGone), "{refused}");
                answers.insert(refused.to_string());
            }
        }
        assert_eq!(answers.into_iter().collect::<Vec<_>>(), ["since_id cursor not found"]);
        // The other workspace's cursor is good there.
        let kept = ActivityFilter {
            after: Some(world.rows[1].id),
            ..all()
        };
        assert_eq!(ids(&world, &kept).await.len(), 22);
    }

    // ACT-16, ACT-21: no rows, and instants outside any database's range, are empty or full lists.
    async fn the_ends_of_time(url: String) {
        let world = world(&url).await;
        let nobody = world.store.activity_feed(WorkspaceId::random(), &all()).await.unwrap();
        assert!(nobody.is_empty());
        let (dawn, dusk) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        for (since, before, rows) in [
            (Some(dawn), Some(dusk), 24),
            (Some(dusk), None, 0),
            (None, Some(dawn), 0),
        ] {
            assert_eq!(
                ids(&world, &ActivityFilter { since, before, ..all() }).await.len(),
                rows
            );
        }
        // `since` includes its instant, `before` does not.
        let at = world.rows[7].created_at;
        let (next, one) = (at.plus(Duration::from_micros(1)), |since, before| ActivityFilter {
            since,
            before,
            ..all()
        });
        assert_eq!(ids(&world, &one(Some(at), Some(next))).await, [world.rows[7].id]);
        assert_eq!(ids(&world, &one(Some(at), Some(at))).await, []);
    }
}
