use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::buf::RecvBuf;
use crate::op::Descriptor;

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn socket() -> Rc<Descriptor> {
    // Nobody's number: closing it does nothing.
    Rc::new(Descriptor::simulated(7))
}

fn recv(socket: &Rc<Descriptor>) -> Op {
    Op::Recv { socket: socket.clone() }
}

fn item(text: &str) -> Item {
    Item::Bytes(RecvBuf::from_vec(text.into()))
}

fn text(taken: Poll<Taken>) -> String {
    match taken {
        Poll::Ready(Taken::Item(Item::Bytes(bytes))) => String::from_utf8(bytes.to_vec()).expect("text"),
        Poll::Ready(Taken::Ended(_, Ok(_))) => "end".into(),
        Poll::Ready(Taken::Ended(_, Err(error))) => error.to_string(),
        Poll::Ready(Taken::Item(_)) => "other".into(),
        Poll::Pending => "pending".into(),
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn items_come_in_order_and_the_end_after_them() {
    let mut table = OpTable::default();
    let id = table.insert(recv(&socket()));
    let mut effects = Effects::default();
    assert_eq!(text(table.poll_item(id, &mut context())), "pending");
    table.item(id, item("1"), &mut effects);
    assert_eq!(effects.wakers.len(), 1);
    table.item(id, item("22"), &mut effects);
    table.item(id, item("333"), &mut effects);
    assert_eq!(table.waiting(id), (3, 6));
    assert_eq!(text(table.poll_item(id, &mut context())), "1");
    table.complete(id, Ok(Reply::Unit), &mut effects);
    assert!(table.op(id).is_none(), "the driver is done with it");
    assert_eq!(table.waiting(id), (2, 5));
    assert_eq!(text(table.poll_item(id, &mut context())), "22");
    assert_eq!(text(table.poll_item(id, &mut context())), "333");
    assert_eq!(text(table.poll_item(id, &mut context())), "end");
    assert_eq!(table.len(), 0);
}

#[test]
fn an_orphan_keeps_its_resources_until_its_completion() {
    let (mut table, socket) = (OpTable::default(), socket());
    let id = table.insert(recv(&socket));
    let mut effects = Effects::default();
    table.item(id, item("lost"), &mut effects);
    assert!(table.orphan(id, &mut effects), "the driver has to cancel");
    assert_eq!(effects.garbage.len(), 1);
    assert_eq!((Rc::strong_count(&socket), table.len()), (2, 1), "the kernel may still use it");
    table.item(id, item("late"), &mut effects);
    assert_eq!(table.waiting(id), (0, 0));
    table.complete(id, Err(io::ErrorKind::Interrupted.into()), &mut effects);
    assert_eq!(table.len(), 0);
    assert!(effects.wakers.is_empty(), "nobody waits");
    drop(effects);
    assert_eq!(Rc::strong_count(&socket), 1);
}

#[test]
fn an_orphan_that_had_completed_is_freed_at_once() {
    let (mut table, socket) = (OpTable::default(), socket());
    let id = table.insert(recv(&socket));
    let mut effects = Effects::default();
    table.item(id, item("1"), &mut effects);
    table.complete(id, Ok(Reply::Unit), &mut effects);
    assert!(!table.orphan(id, &mut effects));
    drop(effects);
    assert_eq!((Rc::strong_count(&socket), table.len()), (1, 0));
}

#[test]
fn a_stale_completion_does_not_reach_the_next_tenant() {
    let mut table = OpTable::default();
    let mut effects = Effects::default();
    let old = table.insert(recv(&socket()));
    table.orphan(old, &mut effects);
    table.complete(old, Ok(Reply::Unit), &mut effects);
    let new = table.insert(recv(&socket()));
    assert_eq!(new.slot, old.slot);
    table.complete(old, Ok(Reply::Unit), &mut effects);
    table.item(old, item("stale"), &mut effects);
    assert!(table.op(old).is_none() && table.scratch(old).is_none() && table.is_orphaned(old));
    assert!(!table.orphan(old, &mut effects));
    assert_eq!(text(table.poll_item(new, &mut context())), "pending");
}

#[test]
fn a_second_completion_is_ignored() {
    let mut table = OpTable::default();
    let mut effects = Effects::default();
    let id = table.insert(recv(&socket()));
    table.complete(id, Ok(Reply::Unit), &mut effects);
    table.complete(id, Err(io::ErrorKind::Other.into()), &mut effects);
    assert_eq!(text(table.poll_item(id, &mut context())), "end");
}

#[test]
fn the_latest_waker_is_called_once() {
    let mut table = OpTable::default();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let id = table.insert(recv(&socket()));
    let _ = table.poll_item(id, &mut context());
    let waker = Waker::from(count.clone());
    let _ = table.poll_item(id, &mut Context::from_waker(&waker));
    let mut effects = Effects::default();
    table.item(id, item("1"), &mut effects);
    table.item(id, item("2"), &mut effects);
    effects.wakers.into_iter().for_each(Waker::wake);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_slot_is_small() {
    assert!(size_of::<Slot>() <= 136, "{} bytes per operation in flight", size_of::<Slot>());
}
