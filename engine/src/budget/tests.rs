use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn bytes_are_counted_and_given_back() {
    let budget = Budget::new(100);
    let mut first = budget.try_reserve(60).expect("fits");
    assert!(budget.try_reserve(41).is_none());
    assert!(!first.try_grow(41) && first.bytes() == 60);
    assert!(first.try_grow(40));
    assert_eq!((budget.used(), budget.capacity()), (100, 100));
    first.shrink_to(10);
    first.shrink_to(20);
    assert_eq!((budget.clone().used(), first.bytes()), (10, 10));
    drop(first);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_large_wish_is_not_overtaken_by_small_ones() {
    let budget = Budget::new(100);
    let held = budget.try_reserve(50).expect("fits");
    let mut large = pin!(budget.reserve(80));
    assert!(poll(large.as_mut()).is_pending());
    assert!(budget.try_reserve(10).is_none(), "it would fit, but others wait");
    let mut small = pin!(budget.reserve(10));
    assert!(poll(small.as_mut()).is_pending());
    drop(held);
    let Poll::Ready(large) = poll(large.as_mut()) else { panic!("it fits now") };
    let Poll::Ready(small) = poll(small.as_mut()) else { panic!("and so does this") };
    assert_eq!((large.bytes(), small.bytes(), budget.used()), (80, 10, 90));
}

#[test]
fn more_than_the_capacity_fits_alone() {
    let budget = Budget::new(100);
    let held = budget.try_reserve(1).expect("fits");
    let mut huge = pin!(budget.reserve(500));
    assert!(poll(huge.as_mut()).is_pending());
    drop(held);
    assert!(matches!(poll(huge.as_mut()), Poll::Ready(reservation) if reservation.bytes() == 500));
    assert_eq!(budget.used(), 0);
}

#[test]
fn bytes_handed_to_a_dropped_waiter_come_back() {
    let budget = Budget::new(100);
    let held = budget.try_reserve(100).expect("fits");
    let mut last = pin!(budget.reserve(100));
    {
        let mut dropped = pin!(budget.reserve(70));
        assert!(poll(dropped.as_mut()).is_pending() && poll(last.as_mut()).is_pending());
        drop(held);
        assert_eq!(budget.used(), 70);
    }
    assert!(poll(last.as_mut()).is_ready());
}
