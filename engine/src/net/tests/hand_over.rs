//! Connections that move from one shard to another.

use super::*;
use crate::boot::ShardId;
use crate::mesh;
use crate::testing::on_shards;

#[test]
fn a_connection_taken_up_on_another_shard_works_there_and_closes_there() {
    on_shards(2, |id| async move {
        if id != ShardId(0) {
            // Until the other has done its part: a root that has ended takes no calls.
            while mesh::call(ShardId(0), || mesh::local::get::<Cell<bool>>().is_none()).await == Ok(true) {
                sleep(Duration::from_millis(1)).await;
            }
            return;
        }
        let listener = Listener::bind(loopback(), 0).expect("binds");
        let remote = listener.local_addr();
        let client = spawn(Class::Interactive, async move {
            let conn = Conn::connect(to(remote)).await.expect("connects");
            conn.send(Bytes::from_static(b"ping")).await.expect("sends");
            assert_eq!(&*conn.recv().await.expect("receives"), b"pong");
            assert!(conn.recv().await.expect("ends").is_empty());
        });
        let conn = listener.accept().await.expect("accepts");
        let (peer, local) = (conn.peer_addr(), conn.local_addr());
        let handover = conn.hand_over().expect("nothing was begun");
        assert!(mesh::can_send(ShardId(1)));
        mesh::send(ShardId(1), move || {
            let conn = handover.take_up();
            assert_eq!((current(), conn.peer_addr(), conn.local_addr()), (ShardId(1), peer, local));
            drop(spawn(Class::Interactive, async move {
                assert_eq!(&*conn.recv().await.expect("receives"), b"ping");
                conn.send(Bytes::from_static(b"pong")).await.expect("sends");
            }));
        })
        .expect("there is room");
        client.await.expect("runs");
        mesh::local::set(Rc::new(Cell::new(true)));
    });
}

#[test]
fn a_connection_in_use_is_not_handed_over_and_one_dropped_on_the_way_closes() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        assert!(timeout(Duration::from_millis(5), far.recv()).await.is_err());
        let far = far.hand_over().expect_err("a receive is under way");
        near.send(Bytes::from_static(b"x")).await.expect("sends");
        assert_eq!(&*far.recv().await.expect("still works"), b"x");
        drop(near.hand_over().expect("its send has ended"));
        assert!(far.recv().await.expect("closed").is_empty());
    });
}

#[test]
fn an_idle_connection_is_taken_off_and_one_to_which_something_came_is_closed() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        near.send(Bytes::from_static(b"a")).await.expect("sends");
        assert_eq!(&*far.recv().await.expect("receives"), b"a");
        assert!(timeout(Duration::from_millis(5), far.recv()).await.is_err());
        let far = far.take_off().await.expect("it was idle").take_up();
        near.send(Bytes::from_static(b"b")).await.expect("sends");
        assert_eq!(&*far.recv().await.expect("still works"), b"b");

        near.send(Bytes::from_static(b"c")).await.expect("sends");
        while timeout(Duration::from_millis(5), near.recv()).await.is_ok() {}
        assert!(far.take_off().await.is_none(), "what came would be lost");
        // With what was not read, the end may be a reset.
        assert!(near.recv().await.is_ok_and(|bytes| bytes.is_empty()) || near.recv().await.is_err());
    });
}
