//! Space: a full disk, held mail, recycled segments; and what damage costs.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::boot;
use engine::sim::{Crash, DiskFaults, HostId, Sim};
use engine::time;
use spool::{Admission, ItemState, MessageId, OpenError, Options, ReadError, Settle, Spool, Store};

use crate::support::{
    accept, done, envelope, item, number, open, options, read, recovered, try_accept, whole,
};

/// Runs one process to the end of its part, on the disk as it is.
fn process<F, Fut>(sim: &mut Sim, host: HostId, part: F)
where
    F: Fn() -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    sim.start(host, 1, move |id| {
        let run = (id != boot::control()).then(&part);
        async move {
            if let Some(run) = run {
                run.await;
            }
        }
    });
    for _ in 0..2000 {
        if !sim.is_running(host) {
            return;
        }
        sim.run_for(Duration::from_secs(1));
    }
    panic!("does not end");
}

fn world(seed: u64) -> (Sim, HostId) {
    let mut sim = Sim::new(seed);
    let host = sim.host("server");
    (sim, host)
}

fn small() -> Options {
    options("/spool", 1)
}

/// With the disk full of mail that fails for good, no report could be stored, and so the mail never left.
#[test]
fn a_full_disk_still_takes_reports_on_the_mail_that_leaves_by_them() {
    let (mut sim, host) = world(4);
    sim.disk_faults(host, DiskFaults { capacity_bytes: 4 << 20, ..DiskFaults::default() });
    process(&mut sim, host, move || async move {
        let store = open(small()).await;
        let mut all = Vec::new();
        for bytes in [2000, 100] {
            while let Ok(id) = try_accept(&store, all.len() as u64, 1, bytes).await {
                all.push(id);
            }
        }
        assert_eq!(try_accept(&store, 0, 1, 500).await.err().as_deref(), Some("DiskFull"));
        for (number, failed) in all.into_iter().enumerate() {
            let mut intake = store.begin_report(500).expect("there is a reserve");
            intake.write(&[b'x'; 500]);
            let report = intake.commit(&envelope(100_000 + number as u64, 1), Bytes::new()).await;
            let report = report.unwrap_or_else(|error| panic!("report {number}: {error:?}"));
            let _ = store.settle(vec![(item(failed, 0), Settle::Done)]).await;
            // It is delivered sooner or later.
            drop(store.settle(vec![(item(report, 0), Settle::Done)]));
        }
        time::sleep(Duration::from_secs(5)).await;
        assert_eq!(store.admission(), Admission::Open);
    });
}

#[test]
fn a_full_disk_accepts_nothing_but_retries_drains_and_restarts() {
    let (mut sim, host) = world(3);
    sim.disk_faults(host, DiskFaults { capacity_bytes: 4 << 20, ..DiskFaults::default() });
    let accepted: Rc<RefCell<BTreeSet<u64>>> = Rc::default();
    let fill = accepted.clone();
    process(&mut sim, host, move || {
        let accepted = fill.clone();
        async move {
            let store = open(small()).await;
            let mut refused = 0;
            for number in 0.. {
                match try_accept(&store, number, 1, 2000).await {
                    Ok(id) => {
                        refused = 0;
                        accepted.borrow_mut().insert(number);
                        let reply =
                            Bytes::from_static(b"connection refused by the next hop, a reply of some length");
                        drop(
                            store.settle(vec![(
                                item(id, 0),
                                Settle::RetryAt { at_ms: 1, attempts: 1, reply },
                            )]),
                        );
                    }
                    Err(error) => {
                        assert_eq!(error, "DiskFull");
                        refused += 1;
                        time::sleep(Duration::from_millis(100)).await;
                    }
                }
                if refused > 50 {
                    break;
                }
            }
            assert_eq!(store.admission(), Admission::DiskFull);
        }
    });
    assert!(accepted.borrow().len() > 500, "{}", accepted.borrow().len());
    // Starts again and again, always with every message deferred once more, and killed.
    for round in 0..8 {
        let accepted = accepted.clone();
        process(&mut sim, host, move || {
            let accepted = accepted.clone();
            async move {
                let store = open(small()).await;
                let mut found = BTreeSet::new();
                for message in recovered(&store).await {
                    found.insert(number(&message.envelope));
                    if let Some(marked) = store.attempt(&[item(message.id, 0)]) {
                        let _ = marked.await;
                    }
                    let reply =
                        Bytes::from(format!("deferred for the {round}th time, a reply of some length"));
                    let retry = Settle::RetryAt { at_ms: 1, attempts: 1, reply };
                    drop(store.settle(vec![(item(message.id, 0), retry)]));
                }
                assert_eq!(found, *accepted.borrow());
                time::sleep(Duration::from_secs(5)).await;
            }
        });
        sim.crash(host, Crash::Process);
    }
    let expected = accepted.borrow().len();
    process(&mut sim, host, move || async move {
        let store = open(small()).await;
        let found = recovered(&store).await;
        assert_eq!(found.len(), expected);
        for message in found {
            assert!(
                read(&store, message.id).await.expect("readable") == whole(number(&message.envelope), 2000)
            );
            drop(store.settle(vec![done(message.id, 0)]));
            time::sleep(Duration::from_millis(1)).await;
        }
        time::sleep(Duration::from_secs(30)).await;
        let stats = store.stats();
        assert_eq!(stats.live_messages, 0);
        assert_eq!(stats.admission, Admission::Open, "{stats:?}");
        accept(&store, 1_000_000, 1, 2000).await;
        store.close().await.expect("closed");
    });
    process(&mut sim, host, || async move {
        assert_eq!(recovered(&open(small()).await).await.len(), 1);
    });
}

#[test]
fn space_stays_below_twice_the_live_bytes_with_one_percent_held() {
    let (mut sim, host) = world(4);
    process(&mut sim, host, || async move {
        let store = open(small()).await;
        assert!(recovered(&store).await.is_empty());
        let mut most = 0;
        for number in 0..8000 {
            let id = accept(&store, number, 1, 1500).await;
            let settle = match number % 100 {
                0 => Settle::Hold { reason: Bytes::from_static(b"asked for") },
                _ => Settle::Done,
            };
            drop(store.settle(vec![(item(id, 0), settle)]));
            let stats = store.stats();
            let options = small();
            let reserve = (options.reserve_segments as u64 + 8) * options.segment_bytes;
            most = most.max(stats.allocated_bytes.saturating_sub(2 * stats.live_bytes));
            assert!(most < reserve, "{most} above {reserve}: {stats:?}");
            if number % 50 == 0 {
                time::sleep(Duration::from_millis(20)).await;
            }
        }
        let stats = store.stats();
        assert_eq!(stats.live_messages, 80);
        assert!(stats.compactions > 0 && stats.retired > 20, "{stats:?}");
        store.close().await.expect("closed");
    });
    process(&mut sim, host, || async move {
        let store = open(small()).await;
        let found = recovered(&store).await;
        assert_eq!(found.len(), 80);
        for message in found {
            let number = number(&message.envelope);
            assert_eq!(number % 100, 0);
            assert_eq!(message.items[0].state, ItemState::Hold { reason: "asked for".into() });
            assert!(read(&store, message.id).await.expect("readable") == whole(number, 1500));
        }
    });
}

#[test]
fn old_records_in_a_recycled_segment_are_not_found() {
    let (mut sim, host) = world(5);
    process(&mut sim, host, || async move {
        let store = open(small()).await;
        assert!(recovered(&store).await.is_empty());
        for number in 0..2000 {
            let id = accept(&store, number, 1, 1500).await;
            drop(store.settle(vec![done(id, 0)]));
            if number % 20 == 0 {
                time::sleep(Duration::from_millis(25)).await;
            }
        }
        assert!(store.stats().retired > 5);
        accept(&store, 5000, 1, 10).await;
    });
    sim.crash(host, Crash::Power);
    let old = sim.files(host).iter().filter(|path| path.ends_with(".seg")).any(|path| {
        let bytes = sim.read_file(host, path).expect("listed");
        bytes.chunks(4096).filter(|block| block.starts_with(b"HQB1")).count() > 20
    });
    assert!(old, "no segment holds old records: the test tests nothing");
    process(&mut sim, host, || async move {
        let found = recovered(&open(small()).await).await;
        assert_eq!(found.len(), 1);
        assert_eq!(number(&found[0].envelope), 5000);
    });
}

#[test]
fn a_body_that_is_a_copy_of_a_segment_makes_no_messages() {
    let (mut sim, host) = world(6);
    let ids: Rc<RefCell<BTreeMap<u64, MessageId>>> = Rc::default();
    let first = ids.clone();
    let large = || Options { segment_bytes: 4 << 20, ..small() };
    process(&mut sim, host, move || {
        let ids = first.clone();
        async move {
            let store = open(large()).await;
            for number in 0..20 {
                let id = accept(&store, number, 1, 1500).await;
                ids.borrow_mut().insert(number, id);
            }
            store
                .settle((0..20).map(|number| done(ids.borrow()[&number], 0)).collect())
                .await
                .expect("durable");
        }
    });
    sim.crash(host, Crash::Process);
    let copies: Vec<Vec<u8>> = sim
        .files(host)
        .iter()
        .filter(|path| path.ends_with(".seg"))
        .filter_map(|path| sim.read_file(host, path))
        .map(|bytes| bytes[..120_000.min(bytes.len())].to_vec())
        .collect();
    let planted = copies.clone();
    process(&mut sim, host, move || {
        let copies = planted.clone();
        async move {
            let store = open(large()).await;
            assert!(recovered(&store).await.is_empty());
            for copy in copies {
                // At any alignment, and once more over itself.
                for skip in [0, 1, 4096 - 64] {
                    let mut intake = store.begin(None).expect("begun");
                    intake.write(&copy[skip..]);
                    intake.commit(&envelope(99, 1), Bytes::new()).await.expect("committed");
                }
            }
        }
    });
    sim.crash(host, Crash::Process);
    process(&mut sim, host, move || {
        let expected = copies.len() * 3;
        async move {
            let found = recovered(&open(large()).await).await;
            assert_eq!(found.len(), expected);
            assert!(found.iter().all(|message| number(&message.envelope) == 99));
        }
    });
}

#[test]
fn a_flipped_bit_costs_at_most_one_message() {
    for seed in 0..150 {
        let (mut sim, host) = world(seed);
        process(&mut sim, host, || async move {
            let store = open(small()).await;
            let mut waiting = Vec::new();
            for number in 0..60 {
                let store = store.clone();
                let send = async move { accept(&store, number, 1, 1000).await };
                waiting.push(engine::task::spawn(engine::task::Class::Interactive, send));
            }
            for task in waiting {
                task.await.expect("accepted");
            }
            // The last batch is not one of them: damage there looks like a torn tail.
            accept(&store, 60, 1, 10).await;
        });
        sim.crash(host, Crash::Process);
        let path = sim
            .files(host)
            .into_iter()
            .filter(|path| path.ends_with(".seg"))
            .max_by_key(|path| sim.read_file(host, path).expect("listed").iter().filter(|b| **b != 0).count())
            .expect("a segment");
        let offset = 8192 + (seed * 0x9e37_79b9) % 70_000;
        sim.flip_bit(host, &path, offset, (seed % 8) as u8);
        process(&mut sim, host, move || async move {
            let store = open(small()).await;
            let found = recovered(&store).await;
            let mut good = 0;
            for message in &found {
                match read(&store, message.id).await {
                    Ok(bytes) => {
                        let number = number(&message.envelope);
                        let len = if number == 60 { 10 } else { 1000 };
                        assert!(bytes == whole(number, len), "other bytes");
                        good += 1;
                    }
                    Err(ReadError::Corrupt) => {
                        assert!(matches!(message.items[0].state, ItemState::Hold { .. }));
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert!(good >= 60, "seed {seed}, offset {offset}: {good} of 61 good, {} found", found.len());
        });
    }
}

#[test]
fn a_message_in_flight_at_two_consecutive_aborts_is_held() {
    let (mut sim, host) = world(8);
    process(&mut sim, host, || async move {
        let store = open(small()).await;
        let poison = accept(&store, 1, 1, 100).await;
        accept(&store, 2, 1, 100).await;
        assert!(store.attempt(&[item(poison, 0)]).is_none());
        time::sleep(Duration::from_secs(3)).await;
    });
    sim.crash(host, Crash::Process);
    for round in 0..3 {
        process(&mut sim, host, move || async move {
            let store = open(small()).await;
            let mut states = BTreeMap::new();
            for message in recovered(&store).await {
                states.insert(number(&message.envelope), (message.id, message.items[0].state.clone()));
            }
            assert_eq!(states[&2].1, ItemState::Active);
            if round == 0 {
                assert_eq!(states[&1].1, ItemState::Active);
                let marked =
                    store.attempt(&[item(states[&1].0, 0)]).expect("must be waited for after an abort");
                marked.await.expect("durable");
            } else {
                assert!(matches!(states[&1].1, ItemState::Hold { .. }), "{:?}", states[&1]);
                time::sleep(Duration::from_secs(1)).await;
            }
        });
        sim.crash(host, Crash::Process);
    }
}

#[test]
fn a_clean_stop_forgets_what_was_in_flight() {
    let (mut sim, host) = world(9);
    for _ in 0..4 {
        process(&mut sim, host, || async move {
            let store = open(small()).await;
            let mut found = recovered(&store).await;
            if found.is_empty() {
                accept(&store, 1, 1, 100).await;
                found.clear();
            }
            for message in found {
                assert_eq!(message.items[0].state, ItemState::Active);
                assert!(store.attempt(&[item(message.id, 0)]).is_none());
            }
            time::sleep(Duration::from_secs(3)).await;
            store.close().await.expect("closed");
        });
    }
}

#[test]
fn a_second_process_is_refused_and_the_first_is_named() {
    let (mut sim, host) = world(10);
    sim.start(host, 1, |id| async move {
        if id != boot::control() {
            let _store: Rc<Store> = open(small()).await;
            time::sleep(Duration::from_secs(3600)).await;
        }
    });
    sim.run_for(Duration::from_secs(1));
    let refused: Rc<RefCell<Option<String>>> = Rc::default();
    let seen = refused.clone();
    sim.start(host, 1, move |id| {
        let seen = seen.clone();
        async move {
            if id != boot::control() {
                let error = Spool::open(small()).await.expect_err("locked");
                assert!(matches!(error, OpenError::Locked { pid: Some(_), .. }), "{error:?}");
                *seen.borrow_mut() = Some(error.to_string());
            }
        }
    });
    sim.run_for(Duration::from_secs(1));
    let text = refused.borrow().clone().expect("refused");
    assert!(text.contains("in use by process"), "{text}");
}
