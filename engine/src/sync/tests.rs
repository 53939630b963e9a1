use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// Polls once, without a task.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_oneshot_delivers_once_or_says_that_nobody_will() {
    let (sender, receiver) = oneshot();
    let mut receiver = pin!(receiver);
    assert_eq!(poll(receiver.as_mut()), Poll::Pending);
    assert_eq!(sender.send(5), Ok(()));
    assert_eq!(poll(receiver.as_mut()), Poll::Ready(Some(5)));
    assert_eq!(poll(receiver.as_mut()), Poll::Ready(None));

    let (sender, receiver) = oneshot::<u8>();
    drop(sender);
    assert_eq!(poll(pin!(receiver)), Poll::Ready(None));

    let (sender, receiver) = oneshot();
    drop(receiver);
    assert_eq!(sender.send(5), Err(5));
}

#[test]
fn a_notification_with_nobody_waiting_is_kept_once() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    assert!(poll(pin!(notify.notified())).is_ready());
    assert!(poll(pin!(notify.notified())).is_pending());
    notify.notify_all();
    assert!(poll(pin!(notify.notified())).is_pending(), "for those present only");
}

#[test]
fn waiters_are_notified_in_order_and_all_at_once_if_asked() {
    let notify = Notify::new();
    let (mut a, mut b, mut c) = (pin!(notify.notified()), pin!(notify.notified()), pin!(notify.notified()));
    assert!(poll(a.as_mut()).is_pending() && poll(b.as_mut()).is_pending() && poll(c.as_mut()).is_pending());
    notify.notify_one();
    assert!(poll(b.as_mut()).is_pending());
    assert!(poll(a.as_mut()).is_ready());
    notify.notify_all();
    assert!(poll(b.as_mut()).is_ready() && poll(c.as_mut()).is_ready());
}

#[test]
fn a_notified_waiter_that_is_dropped_passes_it_on() {
    let notify = Notify::new();
    let mut second = pin!(notify.notified());
    {
        let mut first = pin!(notify.notified());
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        notify.notify_one();
    }
    assert!(poll(second.as_mut()).is_ready());
    // With nobody left, it is kept.
    {
        let mut first = pin!(notify.notified());
        assert!(poll(first.as_mut()).is_pending());
        notify.notify_one();
    }
    assert!(poll(pin!(notify.notified())).is_ready());
}

#[test]
fn permits_go_to_those_who_came_first() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().expect("free");
    assert!(semaphore.try_acquire().is_none());
    let (mut a, mut b) = (pin!(semaphore.acquire()), pin!(semaphore.acquire()));
    assert!(poll(a.as_mut()).is_pending() && poll(b.as_mut()).is_pending());
    drop(held);
    assert!(semaphore.try_acquire().is_none(), "it was handed on, not freed");
    assert!(poll(b.as_mut()).is_pending());
    let Poll::Ready(held) = poll(a.as_mut()) else { panic!("it is its turn") };
    drop(held);
    assert!(poll(b.as_mut()).is_ready());
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_permit_handed_to_a_dropped_waiter_is_not_lost() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().expect("free");
    let mut last = pin!(semaphore.acquire());
    {
        let (mut leaves, mut dropped) = (pin!(semaphore.acquire()), pin!(semaphore.acquire()));
        assert!(poll(dropped.as_mut()).is_pending() && poll(leaves.as_mut()).is_pending());
        assert!(poll(last.as_mut()).is_pending());
        drop(held);
    }
    assert!(poll(last.as_mut()).is_ready());
    assert_eq!(semaphore.available(), 1);
}
