use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::sync::{Notify, oneshot};
use crate::testing::on_a_shard;
use crate::time::{sleep, timeout};

#[test]
fn a_task_gives_its_result_and_runs_on_when_dropped() {
    on_a_shard(|| async {
        assert_eq!(spawn(Class::Interactive, async { 7 }).await, Some(7));
        let (sender, receiver) = oneshot();
        drop(spawn(Class::Background, async move {
            yield_now().await;
            sender.send("done").expect("awaited");
        }));
        assert_eq!(receiver.await, Some("done"));
    });
}

#[test]
fn commit_goes_before_interactive_before_background() {
    on_a_shard(|| async {
        let order = Rc::new(RefCell::new(Vec::new()));
        // All become ready at the start of one turn.
        let at = crate::time::now() + Duration::from_millis(5);
        let tasks = [Class::Background, Class::Interactive, Class::Commit].map(|class| {
            let order = order.clone();
            spawn(class, async move {
                crate::time::sleep_until(at).await;
                order.borrow_mut().push(class);
            })
        });
        for task in tasks {
            task.await;
        }
        assert_eq!(*order.borrow(), [Class::Commit, Class::Interactive, Class::Background]);
    });
}

#[test]
fn a_busy_class_does_not_starve_the_others() {
    on_a_shard(|| async {
        let busy: Vec<Task<()>> = (0..2 * crate::limits::COMMIT_POLLS)
            .map(|_| {
                spawn(Class::Commit, async {
                    loop {
                        yield_now().await;
                    }
                })
            })
            .collect();
        for _ in 0..10 {
            assert_eq!(spawn(Class::Background, async { 1 }).await, Some(1));
        }
        // Nor do timers and completions starve.
        sleep(Duration::from_millis(3)).await;
        busy.iter().for_each(Task::abort);
        for task in busy {
            assert_eq!(task.await, None);
        }
    });
}

/// Counts drops.
struct Guard(Rc<Cell<usize>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn an_aborted_task_drops_its_future_where_it_stands() {
    on_a_shard(|| async {
        let drops = Rc::new(Cell::new(0));
        let guard = Guard(drops.clone());
        let task = spawn(Class::Interactive, async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        yield_now().await;
        assert!(!task.is_finished());
        task.abort();
        assert_eq!(task.await, None);
        assert_eq!(drops.get(), 1);
        // One that has not run yet, and one that has ended.
        let guard = Guard(drops.clone());
        let task = spawn(Class::Interactive, async move { drop(guard) });
        task.abort();
        assert_eq!(task.await, None);
        assert_eq!(drops.get(), 2);
        let task = spawn(Class::Interactive, async { 5 });
        yield_now().await;
        assert!(task.is_finished());
        task.abort();
        assert_eq!(task.await, Some(5));
    });
}

#[test]
fn a_task_may_abort_itself_and_wake_itself() {
    on_a_shard(|| async {
        let (sender, receiver) = oneshot::<Task<()>>();
        let task = spawn(Class::Interactive, async move {
            let me = receiver.await.expect("sent");
            me.abort();
            yield_now().await;
            unreachable!("aborted");
        });
        let id = task.id;
        let join = task.join.clone();
        sender.send(task).expect("awaited");
        assert_eq!(Task { id, join }.await, None);
    });
}

#[test]
fn a_wake_from_another_thread_arrives() {
    on_a_shard(|| async {
        let woken = Arc::new(AtomicUsize::new(0));
        let mut thread = None;
        let waiting = std::future::poll_fn(|cx| {
            if thread.is_none() {
                let (waker, woken) = (cx.waker().clone(), woken.clone());
                thread = Some(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    woken.store(1, Ordering::SeqCst);
                    waker.wake();
                }));
            }
            if woken.load(Ordering::SeqCst) == 1 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert!(timeout(Duration::from_secs(10), waiting).await.is_ok());
        thread.take().expect("started").join().expect("ends");
    });
}

#[test]
fn a_waker_that_outlives_its_task_and_its_shard_does_nothing() {
    let kept: Arc<std::sync::Mutex<Vec<Waker>>> = Arc::default();
    let keep = kept.clone();
    on_a_shard(move || {
        let keep = keep.clone();
        async move {
            let task = spawn(Class::Interactive, async move {
                std::future::poll_fn(|cx| {
                    keep.lock().expect("one thread").push(cx.waker().clone());
                    Poll::Ready(())
                })
                .await;
            });
            task.await;
        }
    });
    let wakers = std::mem::take(&mut *kept.lock().expect("one thread"));
    assert_eq!(wakers.len(), 2, "one of each driver");
    wakers.into_iter().for_each(|waker| {
        waker.wake_by_ref();
        waker.wake();
    });
}

#[test]
fn dropping_a_task_may_spawn_and_wake_others() {
    struct Spawner(Rc<Notify>);
    impl Drop for Spawner {
        fn drop(&mut self) {
            self.0.notify_all();
            let again = self.0.clone();
            spawn(Class::Interactive, async move { again.notified().await });
        }
    }
    on_a_shard(|| async {
        let notify = Rc::new(Notify::new());
        for _ in 0..3 {
            let spawner = Spawner(notify.clone());
            spawn(Class::Interactive, async move {
                let _spawner = spawner;
                std::future::pending::<()>().await;
            });
        }
        yield_now().await;
        // The shard ends with all of them in place.
    });
}

#[test]
fn more_wakes_than_polls_cost_nothing() {
    on_a_shard(|| async {
        let polls = Rc::new(Cell::new(0));
        let (counted, notify) = (polls.clone(), Rc::new(Notify::new()));
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
        let (keep, done) = (waker.clone(), notify.clone());
        let task = spawn(Class::Interactive, async move {
            let mut done = std::pin::pin!(done.notified());
            std::future::poll_fn(|cx| {
                counted.set(counted.get() + 1);
                *keep.borrow_mut() = Some(cx.waker().clone());
                done.as_mut().poll(cx)
            })
            .await;
        });
        yield_now().await;
        (0..1000).for_each(|_| waker.borrow().as_ref().expect("polled").wake_by_ref());
        yield_now().await;
        assert_eq!(polls.get(), 2);
        notify.notify_one();
        task.await;
    });
}
