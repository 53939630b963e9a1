use super::*;
use crate::task::{Class, spawn};
use crate::testing::on_a_shard;
use crate::time::{sleep, timeout};

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A listener and two ends of a connection to it.
async fn pair() -> (Listener, Conn, Conn) {
    let listener = Listener::bind(loopback(), 0).expect("binds");
    let remote = listener.local_addr();
    let near = spawn(Class::Interactive, Conn::connect(Connect { remote, local: None }));
    let far = listener.accept().await.expect("accepts");
    let near = near.await.expect("runs").expect("connects");
    (listener, near, far)
}

async fn recv_all(conn: &Conn) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = conn.recv().await.expect("receives");
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

#[test]
fn what_is_sent_arrives_and_the_end_of_the_stream_shows() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        assert_eq!(near.peer_addr(), far.local_addr());
        assert_eq!(near.local_addr(), far.peer_addr());
        near.send(Bytes::from_static(b"EHLO there\r\n")).await.expect("sends");
        assert_eq!(&*far.recv().await.expect("receives"), b"EHLO there\r\n");
        far.send_list(vec![Bytes::from_static(b"250 "), Bytes::new(), Bytes::from_static(b"OK\r\n")])
            .await
            .expect("sends");
        assert_eq!(&*near.recv().await.expect("receives"), b"250 OK\r\n");
        near.shutdown().await.expect("shuts down");
        assert!(far.recv().await.expect("receives").is_empty());
        assert!(far.recv().await.expect("receives").is_empty(), "and again");
        drop(far);
        assert!(recv_all(&near).await.is_empty());
    });
}
