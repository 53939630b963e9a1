//! Futures dropped at every await point, connections and descriptors that nobody wants.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use super::*;

/// Runs `make()` again and again, dropping it after 0, 1, 2, ... polls, until it ends by itself.
async fn drop_at_every_await<F: Future<Output = ()>>(make: impl Fn() -> F) {
    for polls in 0.. {
        let mut future = Some(Box::pin(make()));
        let mut left = polls;
        let ended = poll_fn(|cx| {
            let Some(running) = &mut future else { return Poll::Ready(false) };
            if left == 0 {
                future = None;
                return Poll::Ready(false);
            }
            left -= 1;
            running.as_mut().poll(cx).map(|()| true)
        })
        .await;
        if ended {
            return;
        }
        assert!(polls < 1000, "it never ends");
    }
}

/// Operations in flight, without those of what the caller still holds.
fn in_flight() -> usize {
    shard::with(|shard| shard.ops.borrow().len())
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("lists").count()
}

#[test]
fn a_session_may_be_dropped_at_every_await() {
    alone("net::tests::drops::a_session_may_be_dropped_at_every_await", || {
        on_a_shard(|| async {
            let before = open_descriptors();
            let session = || async {
                let listener = Listener::bind(loopback(), 0).expect("binds");
                let (near, far) = {
                    let mut connect = pin!(Conn::connect(to(listener.local_addr())));
                    let mut accept = pin!(listener.accept());
                    let (mut near, mut far) = (None, None);
                    poll_fn(|cx| {
                        if near.is_none()
                            && let Poll::Ready(conn) = connect.as_mut().poll(cx)
                        {
                            near = Some(conn.expect("connects"));
                        }
                        if far.is_none()
                            && let Poll::Ready(conn) = accept.as_mut().poll(cx)
                        {
                            far = Some(conn.expect("accepts"));
                        }
                        if near.is_some() && far.is_some() { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                    (near.take().expect("set"), far.take().expect("set"))
                };
                near.send(Bytes::from_static(b"hello")).await.expect("sends");
                assert_eq!(&*far.recv().await.expect("receives"), b"hello");
                far.send_list(vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]).await.expect("sends");
                let answer = timeout(Duration::from_secs(5), near.recv()).await;
                assert_eq!(&*answer.expect("in time").expect("receives"), b"ab");
                near.shutdown().await.expect("shuts down");
                assert!(far.recv().await.expect("receives").is_empty());
                // A send that cannot end: the peer does not read.
                let stuck = near_stuck(&far);
                assert!(timeout(Duration::from_millis(5), stuck).await.is_err());
            };
            drop_at_every_await(session).await;
            settle().await;
            assert_eq!(in_flight(), 0, "every orphan has ended");
            assert_eq!(open_descriptors(), before, "every descriptor is closed");
        });
    });
}

async fn near_stuck(conn: &Conn) {
    conn.send(Bytes::from(vec![0; 16 << 20])).await.expect("never");
}

#[test]
fn the_buffer_of_a_dropped_send_stays_until_the_kernel_is_done() {
    on_a_shard(|| async {
        let (_listener, near, _far) = pair().await;
        // A unique owner tells when the bytes are freed.
        struct Owner(Vec<u8>, Rc<Cell<bool>>);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        // SAFETY: this test has one thread.
        unsafe impl Send for Owner {}
        impl Drop for Owner {
            fn drop(&mut self) {
                self.1.set(true);
            }
        }
        let freed = Rc::new(Cell::new(false));
        let data = Bytes::from_owner(Owner(vec![1; 16 << 20], freed.clone()));
        {
            let mut send = pin!(near.send(data));
            poll_fn(|cx| {
                assert!(send.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            settle().await;
        }
        assert!(!freed.get(), "the cancel has not even been submitted");
        settle().await;
        assert!(freed.get(), "the cancelled send has ended");
    });
}

#[test]
fn a_send_that_is_given_up_in_its_own_turn_has_gone_all_the_same() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        {
            let mut send = pin!(near.send(Bytes::from_static(b"farewell")));
            poll_fn(|cx| {
                assert!(send.as_mut().poll(cx).is_pending(), "nothing completes inside of a submission");
                Poll::Ready(())
            })
            .await;
        }
        drop(near);
        let received = timeout(Duration::from_secs(20), far.recv()).await;
        assert_eq!(&*received.expect("in time").expect("receives"), b"farewell");
    });
}

#[test]
fn connections_that_nobody_accepted_are_closed_with_their_listener() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("binds");
        let near = Conn::connect(to(listener.local_addr())).await.expect("connects");
        // Starts accepting, and is dropped before it could see the connection.
        assert!(timeout(Duration::ZERO, listener.accept()).await.is_err());
        let second = Conn::connect(to(listener.local_addr())).await.expect("connects");
        settle().await;
        drop(listener);
        for conn in [near, second] {
            let end = timeout(Duration::from_secs(5), conn.recv()).await.expect("in time");
            assert!(end.map(|bytes| bytes.is_empty()).unwrap_or(true), "closed or reset");
        }
        settle().await;
        assert_eq!(in_flight(), 0);
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("binds");
        for _ in 0..20 {
            let near = Conn::connect(to(listener.local_addr())).await.expect("connects");
            let far = loop {
                if let Ok(far) = timeout(Duration::ZERO, listener.accept()).await {
                    break far.expect("accepts");
                }
                yield_now().await;
            };
            assert_eq!(far.peer_addr(), near.local_addr());
        }
    });
}

#[test]
fn accepting_stops_when_nobody_takes_and_goes_on_later() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 1024).expect("binds");
        assert!(timeout(Duration::ZERO, listener.accept()).await.is_err());
        let mut clients = Vec::new();
        for _ in 0..3 * limits::ACCEPT_WINDOW {
            clients.push(Conn::connect(to(listener.local_addr())).await.expect("connects"));
        }
        settle().await;
        let waiting = shard::with(|shard| {
            let ops = shard.ops.borrow();
            ops.ids().into_iter().map(|id| ops.waiting(id).0).max().unwrap_or(0)
        });
        assert!(waiting < 2 * limits::ACCEPT_WINDOW, "{waiting} connections wait in the engine");
        for _ in &clients {
            timeout(Duration::from_secs(5), listener.accept()).await.expect("in time").expect("accepts");
        }
    });
}

#[test]
fn a_connect_that_is_given_up_closes_its_socket() {
    alone("net::tests::drops::a_connect_that_is_given_up_closes_its_socket", || {
        on_a_shard(|| async {
            let listener = Listener::bind(loopback(), 0).expect("binds");
            let before = open_descriptors();
            for polls in 0..20 {
                let mut connect = Box::pin(Conn::connect(to(listener.local_addr())));
                for _ in 0..polls % 4 {
                    let done = poll_fn(|cx| Poll::Ready(connect.as_mut().poll(cx).is_ready())).await;
                    if done {
                        break;
                    }
                    yield_now().await;
                }
            }
            settle().await;
            assert_eq!(in_flight(), 0);
            assert_eq!(open_descriptors(), before);
        });
    });
}

#[test]
fn a_connection_closed_under_fire_gives_its_buffers_back() {
    on_a_shard(|| async {
        for round in 0..20 {
            let (_listener, near, far) = pair().await;
            let sender = spawn(Class::Interactive, async move {
                // Ends with an error when the peer closes.
                let _ = near.send(Bytes::from(vec![7; 1 << 20])).await;
            });
            for _ in 0..round % 3 {
                drop(far.recv().await);
            }
            drop(far);
            sender.await;
        }
        settle().await;
        assert_eq!(in_flight(), 0);
        let free = shard::with(|shard| shard.driver.buffers().free());
        assert_eq!(free, usize::from(limits::RECV_BUFFERS));
    });
}
