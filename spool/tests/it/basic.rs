//! Accept, read, settle, start again: on the real disk, by each driver, and on the simulated one.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use engine::boot::{self, DriverChoice};
use engine::sim::Sim;
use spool::{ItemState, Options, RecoveredItem, Settle};

use crate::support::{
    PREFIX, accept, body, done, envelope, item, number, open, options, read, recovered, whole,
};

type Case = fn(Options) -> Pin<Box<dyn Future<Output = ()>>>;

/// Runs a case as one process after the other (each part a process).
fn on_sim(parts: &[Case], direct: bool) {
    let mut sim = Sim::new(1);
    let host = sim.host("server");
    for part in parts.iter().copied() {
        sim.start(host, 1, move |id| async move {
            if id != boot::control() {
                part(Options { direct, ..options("/spool", 1) }).await;
            }
        });
        let mut waited = 0;
        while sim.is_running(host) && waited < 600 {
            sim.run_for(Duration::from_secs(1));
            waited += 1;
        }
        assert!(!sim.is_running(host), "the case does not end");
    }
}

fn on_driver(driver: DriverChoice, parts: &[Case], direct: bool) {
    let dir = temporary();
    for part in parts.iter().copied() {
        let path = dir.join("spool").to_string_lossy().into_owned();
        let boot_options = boot::Options { shards: 1, pin: false, driver, signals: Vec::new() };
        let root = move |id| {
            let path = path.clone();
            async move {
                if id != boot::control() {
                    part(Options { direct, ..options(&path, 1) }).await;
                }
            }
        };
        boot::run(boot_options, root).unwrap_or_else(|error| panic!("{driver:?}: {error}"));
    }
    std::fs::remove_dir_all(dir).expect("removed");
}

fn temporary() -> std::path::PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("spool-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).expect("created");
    dir
}

fn everywhere(parts: &[Case]) {
    on_sim(parts, true);
    on_sim(parts, false);
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        on_driver(driver, parts, true);
        on_driver(driver, parts, false);
    }
}

/// Body lengths that go each way: inline, spilled, extent.
const LENGTHS: &[usize] = &[0, 1, 100, 4096, 20_000, 40_000, 66_000, 130_000, 400_000, 3_000_000];

#[test]
fn messages_of_every_size_are_read_back_before_and_after_a_restart() {
    fn first(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            assert!(recovered(&store).await.is_empty());
            for (number, len) in LENGTHS.iter().enumerate() {
                let id = accept(&store, number as u64, 2, *len).await;
                assert!(read(&store, id).await.expect("readable") == whole(number as u64, *len));
                store.release_body(id);
                assert!(read(&store, id).await.expect("readable") == whole(number as u64, *len));
                assert_eq!(store.envelope(id).await.expect("readable"), envelope(number as u64, 2));
                store.settle(vec![done(id, 1)]).await.expect("durable");
            }
            assert_eq!(store.commit_us().count(), LENGTHS.len() as u64);
            assert!(store.commit_us().quantile_us(0.5) > 0, "a durable write takes time");
            store.close().await.expect("closed");
        })
    }
    fn second(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            let all = recovered(&store).await;
            assert_eq!(all.len(), LENGTHS.len());
            for message in all {
                let number = number(&message.envelope);
                let len = LENGTHS[number as usize];
                assert_eq!(message.envelope, envelope(number, 2));
                assert_eq!(store.envelope(message.id).await.expect("readable"), message.envelope);
                assert_eq!(message.items.len(), 1);
                assert_eq!(message.items[0].recipient, 0);
                assert_eq!(message.items[0].state, ItemState::Active);
                assert!(read(&store, message.id).await.expect("readable") == whole(number, len), "{len}");
                store.settle(vec![done(message.id, 0)]).await.expect("durable");
                assert!(matches!(store.envelope(message.id).await, Err(spool::ReadError::Gone)));
            }
            store.close().await.expect("closed");
        })
    }
    fn third(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            assert!(recovered(&store).await.is_empty());
            store.close().await.expect("closed");
        })
    }
    everywhere(&[first, second, third]);
}

/// What a future answers without a wait.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn the_envelope_of_a_message_in_memory_is_not_read_from_disk() {
    fn only(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            let id = accept(&store, 7, 2, 100).await;
            let known = at_once(store.envelope(id));
            assert_eq!(known.expect("no wait").expect("readable"), envelope(7, 2));
            store.release_body(id);
            assert!(at_once(store.envelope(id)).is_none(), "it comes from disk");
            assert_eq!(store.envelope(id).await.expect("readable"), envelope(7, 2));
            store.close().await.expect("closed");
        })
    }
    everywhere(&[only]);
}

#[test]
fn a_body_that_has_come_in_can_be_read_before_it_is_committed() {
    fn first(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            for (number, len) in LENGTHS.iter().enumerate() {
                let mut intake = store.begin(None).expect("taken");
                for piece in body(number as u64, *len).chunks(3000) {
                    intake.write(piece);
                    intake.ready().await.expect("room");
                }
                assert!(
                    intake.content(PREFIX).await.expect("readable") == whole(number as u64, *len),
                    "{len}"
                );
                let id = intake.commit(&envelope(number as u64, 1), PREFIX.into()).await.expect("durable");
                assert!(read(&store, id).await.expect("readable") == whole(number as u64, *len), "{len}");
            }
            store.close().await.expect("closed");
        })
    }
    everywhere(&[first]);
}

#[test]
fn the_last_state_of_an_item_is_found_again_even_without_a_close() {
    fn first(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            let id = accept(&store, 5, 4, 1000).await;
            let retry = |at_ms| Settle::RetryAt { at_ms, attempts: 3, reply: "421 later".into() };
            drop(store.settle(vec![(item(id, 0), retry(7)), (item(id, 1), retry(8)), done(id, 2)]));
            let hold = Settle::Hold { reason: "asked for".into() };
            let properties = Settle::Properties("blob".into());
            store.settle(vec![(item(id, 0), hold), (item(id, 0), properties)]).await.expect("durable");
        })
    }
    fn second(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            let all = recovered(&store).await;
            assert_eq!(all.len(), 1);
            let items = &all[0].items;
            assert_eq!(items.iter().map(|item| item.recipient).collect::<Vec<_>>(), [0, 1, 3]);
            assert_eq!(items[0].state, ItemState::Hold { reason: "asked for".into() });
            assert_eq!(items[0].properties.as_deref(), Some(&b"blob"[..]));
            assert_eq!(store.properties(item(all[0].id, 0)).as_deref(), Some(&b"blob"[..]));
            assert_eq!(store.properties(item(all[0].id, 1)), None);
            assert_eq!(items[0].attempts, 3);
            assert_eq!(items[1].state, ItemState::RetryAt { at_ms: 8, reply: "421 later".into() });
            assert_eq!(items[2].state, ItemState::Active);
        })
    }
    everywhere(&[first, second, second]);
}

/// What was known of the second and the fourth recipient elsewhere.
fn queued_elsewhere() -> Vec<RecoveredItem> {
    let deferred = ItemState::RetryAt { at_ms: 9, reply: "451 later".into() };
    vec![
        RecoveredItem { recipient: 1, state: deferred, attempts: 2, properties: Some("blob".into()) },
        RecoveredItem { recipient: 3, state: ItemState::Active, attempts: 0, properties: None },
    ]
}

#[test]
fn a_message_that_was_queued_elsewhere_comes_with_its_states_in_one_record() {
    fn first(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            let mut intake = store.begin(Some(70_000)).expect("begun");
            for piece in body(5, 70_000).chunks(3000) {
                intake.write(piece);
                intake.ready().await.expect("ready");
            }
            let id = intake.commit_queued(&envelope(5, 5), &queued_elsewhere()).await.expect("durable");
            assert_eq!(store.live_recipients(id), 2);
            assert_eq!(store.item(item(id, 1)).as_ref(), queued_elsewhere().first());
            assert_eq!(store.item(item(id, 0)), None);
            // No close: as after a crash.
        })
    }
    fn second(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            let all = recovered(&store).await;
            assert_eq!(all.len(), 1);
            assert_eq!((&all[0].items, &all[0].envelope), (&queued_elsewhere(), &envelope(5, 5)));
            assert_eq!(read(&store, all[0].id).await.expect("read"), body(5, 70_000));
            store.close().await.expect("closed");
        })
    }
    fn third(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            let all = recovered(&store).await;
            assert_eq!(all[0].items, queued_elsewhere());
            store.settle(vec![done(all[0].id, 1), done(all[0].id, 3)]).await.expect("durable");
            assert_eq!(store.stats().live_messages, 0);
        })
    }
    fn fourth(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move { assert_eq!(recovered(&open(options).await).await, []) })
    }
    everywhere(&[first, second, second, third, fourth]);
}

/// The writer kept to a segment in which the mark of a clean end had room and the first message in line had not: it went round
/// without a pause.
#[test]
fn a_store_that_is_closed_while_messages_wait_for_another_segment_ends() {
    fn fill_and_close(options: Options) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let store = open(options).await;
            let before = recovered(&store).await.len() as u64;
            // More each time, so that one of them leaves little of a segment.
            for number in 0..8 + before {
                accept(&store, 1000 * before + number, 1, 20_000).await;
            }
            let mut intakes = Vec::new();
            for _ in 0..3 {
                let mut intake = store.begin(Some(20_000)).expect("room");
                for piece in body(7, 20_000).chunks(3000) {
                    intake.write(piece);
                    intake.ready().await.expect("room");
                }
                intakes.push(intake);
            }
            let envelope = envelope(7, 1);
            for intake in intakes {
                let commit = intake.commit(&envelope, bytes::Bytes::from_static(PREFIX));
                assert!(at_once(commit).is_none());
            }
            store.close().await.expect("closed");
        })
    }
    on_sim(&[fill_and_close as Case; 6], true);
}
