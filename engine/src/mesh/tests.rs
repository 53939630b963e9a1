use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::*;
use crate::boot::{self, current};
use crate::limits;
use crate::stats;
use crate::task::{Task, yield_now};
use crate::testing::{on_a_shard, on_shards};
use crate::time::{sleep, timeout};

/// The first shard and the second one.
const A: ShardId = ShardId(0);
const B: ShardId = ShardId(1);

/// Runs `f` on shard 0 while shard 1 and the control thread wait to be called, until it ends.
fn beside_another<F, Fut>(f: F)
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    on_shards(2, move |id| {
        let run = (id == A).then(&f);
        async move {
            let end = Rc::new(crate::sync::Notify::new());
            local::set(end.clone());
            match run {
                Some(run) => {
                    run.await;
                    for other in [B, boot::control()] {
                        while call(other, || local::get::<crate::sync::Notify>().map(|end| end.notify_one()))
                            .await
                            == Ok(None)
                        {
                            yield_now().await;
                        }
                    }
                }
                None => end.notified().await,
            }
        }
    });
}

#[test]
fn a_call_runs_there_and_its_result_comes_back() {
    beside_another(|| async {
        assert_eq!(call(B, current).await, Ok(B));
        assert_eq!(call(boot::control(), || (current(), boot::is_control())).await, Ok((ShardId(2), true)));
        assert_eq!(call(A, current).await, Ok(A), "and to oneself");
        assert_eq!(call(ShardId(9), current).await, Err(MeshError::Gone));
        let nested = call_task(B, || async { call(A, || 5).await }).await;
        assert_eq!(nested, Ok(Ok(5)));
    });
}

#[test]
fn local_values_are_found_by_the_calls_that_arrive() {
    struct Counter(Cell<u32>);
    beside_another(|| async {
        local::set(Rc::new(Counter(Cell::new(1))));
        assert!(call(B, || local::get::<Counter>().is_none()).await.expect("runs"));
        call(B, || local::set(Rc::new(Counter(Cell::new(7))))).await.expect("runs");
        let add = || {
            let counter = local::get::<Counter>().expect("set");
            counter.0.set(counter.0.get() + 1);
            counter.0.get()
        };
        assert_eq!(call(B, add).await, Ok(8));
        assert_eq!(add(), 2);
    });
}

#[test]
fn more_calls_than_credits_wait_and_all_are_answered() {
    beside_another(|| async {
        let calls: Vec<Task<Result<usize, MeshError>>> = (0..5 * limits::MESH_CALLS)
            .map(|n| {
                spawn(
                    Class::Interactive,
                    call_task(B, move || async move {
                        yield_now().await;
                        n
                    }),
                )
            })
            .collect();
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await, Some(Ok(n)));
        }
        let free = shard::with(|shard| shard.mesh.credits[1].available());
        assert_eq!(free, limits::MESH_CALLS, "every credit is back");
    });
}

#[test]
fn calls_both_ways_at_once_do_not_block_each_other() {
    on_shards(2, |id| async move {
        let other = match id {
            A => B,
            B => A,
            _ => return,
        };
        let calls: Vec<_> =
            (0..2000usize).map(|n| spawn(Class::Interactive, call(other, move || n + 1))).collect();
        for (n, call) in calls.into_iter().enumerate() {
            match call.await.expect("runs") {
                Ok(value) => assert_eq!(value, n + 1),
                // It has got all its answers, and ended.
                Err(error) => assert_eq!(error, MeshError::Gone),
            }
        }
    });
}

#[test]
fn a_dropped_call_gives_its_credit_back() {
    beside_another(|| async {
        for polls in 0..4 {
            for _ in 0..limits::MESH_CALLS {
                let mut pending = Box::pin(call_task(B, || async { yield_now().await }));
                for _ in 0..polls {
                    if poll_fn(|cx| Poll::Ready(pending.as_mut().poll(cx).is_ready())).await {
                        break;
                    }
                }
            }
        }
        for _ in 0..2 * limits::MESH_CALLS {
            call(B, || ()).await.expect("runs");
        }
        sleep(Duration::from_millis(50)).await;
        shard::with(|shard| {
            assert_eq!(shard.mesh.credits[1].available(), limits::MESH_CALLS);
            assert_eq!(shard.mesh.pending.borrow().len(), 0);
        });
    });
}

#[test]
fn a_waiter_for_a_credit_that_leaves_takes_none_with_it() {
    beside_another(|| async {
        let hold: Vec<_> = (0..limits::MESH_CALLS)
            .map(|_| {
                spawn(Class::Interactive, call_task(B, || async { sleep(Duration::from_millis(30)).await }))
            })
            .collect();
        yield_now().await;
        assert!(timeout(Duration::from_millis(1), call(B, || ())).await.is_err(), "no credit is left");
        for held in hold {
            held.await.expect("runs").expect("runs");
        }
        assert_eq!(call(B, || 1).await, Ok(1));
    });
}

#[test]
fn sends_fill_their_half_of_the_ring_and_leave_the_other_to_calls() {
    static RAN: AtomicUsize = AtomicUsize::new(0);
    beside_another(|| async {
        let before = RAN.load(Ordering::SeqCst);
        let mut sent = 0;
        // The other shard may drain meanwhile.
        let full = loop {
            match send(B, || {
                RAN.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(200));
            }) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full, MeshError::Full);
        assert!(sent >= limits::MESH_RING - limits::MESH_CALLS);
        assert_eq!(call(B, || RAN.load(Ordering::SeqCst)).await, Ok(before + sent), "in order of sending");
        assert_eq!(send(ShardId(9), || ()), Err(MeshError::Gone));
    });
}

#[test]
fn a_shard_whose_root_has_ended_answers_gone() {
    on_shards(2, |id| async move {
        if id == A {
            loop {
                match call(B, || ()).await {
                    Ok(()) => yield_now().await,
                    Err(error) => {
                        assert_eq!(error, MeshError::Gone);
                        break;
                    }
                }
            }
            assert_eq!(call_task(B, || async { 1 }).await, Err(MeshError::Gone));
        }
    });
}

#[test]
fn a_task_that_is_aborted_there_answers_gone() {
    beside_another(|| async {
        // Where the task is dropped, its way back goes with it.
        let aborted = call_task(B, || async {
            let inner = spawn(Class::Interactive, async { std::future::pending::<()>().await });
            inner.abort();
            inner.await
        });
        assert_eq!(aborted.await, Ok(None));
    });
}

#[test]
fn a_sleeping_shard_is_woken_by_a_call_and_sleeps_again() {
    beside_another(|| async {
        let turns = || stats::of(B).turns;
        call(B, || ()).await.expect("runs");
        // On a busy machine it comes to rest later.
        let mut before = turns();
        for _ in 0..50 {
            sleep(Duration::from_millis(200)).await;
            if turns() == before {
                break;
            }
            before = turns();
        }
        sleep(Duration::from_millis(200)).await;
        assert_eq!(turns(), before, "an idle shard makes no turns");
        for n in 0..20 {
            assert_eq!(timeout(Duration::from_secs(5), call(B, move || n)).await, Ok(Ok(n)));
        }
        assert!(turns() > before);
    });
}

#[test]
fn many_calls_of_one_turn_wake_the_other_once() {
    beside_another(|| async {
        call(B, || ()).await.expect("runs");
        sleep(Duration::from_millis(50)).await;
        let mut seen = Vec::new();
        // Others may have the CPU in the middle of it.
        while seen.len() < 10 && !seen.iter().any(|&(turns, enters)| turns <= 20 && enters <= 20) {
            let (before, mine) = (stats::of(B).turns, stats::of(A).enters);
            let calls: Vec<_> = (0..200).map(|n| spawn(Class::Interactive, call(B, move || n))).collect();
            for call in calls {
                call.await.expect("runs").expect("runs");
            }
            seen.push((stats::of(B).turns - before, stats::of(A).enters - mine));
        }
        assert!(seen.len() < 10, "turns and system calls for 200 calls: {seen:?}");
    });
}

#[test]
fn calls_left_over_at_the_end_are_dropped_without_harm() {
    struct Canary(Arc<AtomicUsize>);
    impl Drop for Canary {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = drops.clone();
    on_a_shard(move || {
        let counted = counted.clone();
        async move {
            for _ in 0..10 {
                let canary = Canary(counted.clone());
                let _ = send(boot::control(), move || drop(canary));
            }
        }
    });
    assert_eq!(drops.load(Ordering::SeqCst), 20, "ten on each driver");
}
