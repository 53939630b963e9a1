use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::boot::current;
use crate::stats;
use crate::task::{Class, spawn};
use crate::testing::on_a_shard;

#[test]
fn a_sleep_ends_in_time_and_never_early() {
    on_a_shard(|| async {
        for ns in [0, 1, 999_999, 1_000_000, 1_500_000, 20_000_000] {
            let duration = Duration::from_nanos(ns);
            let start = now_precise();
            sleep_until(start + duration).await;
            let took = now_precise() - start;
            assert!(took >= duration, "{took:?} for {duration:?}");
            assert!(took < duration + Duration::from_secs(2), "{took:?} for {duration:?}");
        }
    });
}

#[test]
fn timers_fire_in_order_whatever_the_order_of_arming() {
    on_a_shard(|| async {
        let order = Rc::new(std::cell::RefCell::new(Vec::new()));
        let tasks: Vec<_> = [30, 10, 70, 20]
            .map(|ms| {
                let order = order.clone();
                spawn(Class::Interactive, async move {
                    sleep(Duration::from_millis(ms)).await;
                    order.borrow_mut().push(ms);
                })
            })
            .into();
        for task in tasks {
            task.await;
        }
        assert_eq!(*order.borrow(), [10, 20, 30, 70]);
    });
}

struct Guard(Rc<Cell<bool>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn a_timeout_drops_what_it_waited_for() {
    on_a_shard(|| async {
        let dropped = Rc::new(Cell::new(false));
        let guard = Guard(dropped.clone());
        let slow = async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        };
        assert_eq!(timeout(Duration::from_millis(5), slow).await, Err(Elapsed));
        assert!(dropped.get());
        assert_eq!(timeout(Duration::from_millis(5), async { 3 }).await, Ok(3));
        assert_eq!(timeout(Duration::ZERO, std::future::pending::<()>()).await, Err(Elapsed));
        shard::with(|shard| assert_eq!(shard.wheel.borrow().armed(), 0, "no timer is left"));
    });
}

#[test]
fn the_clock_stands_still_within_a_turn() {
    on_a_shard(|| async {
        let (cached, wall) = (now(), wall_us());
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((now(), wall_us()), (cached, wall));
        assert!(now_precise() - cached >= Duration::from_millis(5));
        crate::task::yield_now().await;
        assert!(now() - cached >= Duration::from_millis(5));
        assert!(wall_us() >= wall + 4_000);
        assert_eq!(wall_ms(), wall_us() / 1000);
    });
}

#[test]
fn a_shard_that_waits_for_a_far_timer_does_not_wake_up() {
    on_a_shard(|| async {
        let far = spawn(Class::Interactive, sleep(Duration::from_secs(3600)));
        sleep(Duration::from_millis(1)).await;
        let before = stats::of(current());
        sleep(Duration::from_millis(300)).await;
        let after = stats::of(current());
        // One for the timer; a few where the wheel moves timers down a level.
        assert!(after.turns - before.turns <= 6, "{} turns", after.turns - before.turns);
        far.abort();
    });
}

#[test]
fn a_timeout_holds_its_future_once_and_drops_it_when_the_time_is_up() {
    on_a_shard(|| async {
        let dropped = Rc::new(Cell::new(false));
        struct Guard(Rc<Cell<bool>>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let (guard, large) = (Guard(dropped.clone()), [1; 1000]);
        let future = async move {
            std::future::pending::<()>().await;
            drop((guard, large));
        };
        let bytes = size_of_val(&future);
        let mut timeout = std::pin::pin!(timeout(Duration::from_millis(1), future));
        assert!(size_of_val(&*timeout) < bytes + 100, "{} for {bytes}", size_of_val(&*timeout));
        assert_eq!(timeout.as_mut().await, Err(Elapsed));
        assert!(dropped.get(), "it outlives its time");
    });
}
