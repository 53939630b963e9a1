//! Peers that misbehave.

use super::*;

/// What becomes of a server's handshake when a client sends this in clear and closes.
async fn accept_against(sent: &'static [u8]) -> TlsError {
    let side = server(Authority::new().identity(&["mx.example.net"]));
    let (near, far) = pair().await;
    near.send(Bytes::from_static(sent)).await.expect("sends");
    drop(near);
    let error = far.accept_tls(&side).await.expect_err("must not agree");
    // A session says goodbye and looks for more whatever has happened: the library, asked again, would panic.
    let _ = far.close().await;
    let _ = far.send(Bytes::from_static(b"421 4.7.0 bye\r\n")).await;
    let _ = far.recv().await;
    let _ = far.close().await;
    error
}

#[test]
fn after_a_failed_handshake_the_library_is_not_asked_again() {
    on_a_shard(|| async {
        assert!(matches!(accept_against(b"").await, TlsError::Ended | TlsError::Connection(_)));
        let smtp = accept_against(b"EHLO client.example.net\r\n").await;
        assert!(matches!(smtp, TlsError::Peer(_)), "{smtp}");
        let half = accept_against(b"\x16\x03\x01\x02\x00\x01").await;
        assert!(matches!(half, TlsError::Ended | TlsError::Connection(_)), "{half}");
        // An alert instead of a hello.
        let alert = accept_against(b"\x15\x03\x01\x00\x02\x02\x28").await;
        assert!(matches!(alert, TlsError::Refused(_)), "{alert}");
    });
}

#[test]
fn a_peer_without_a_common_version_is_told_so() {
    on_a_shard(|| async {
        let mut options = server_options(Authority::new().identity(&["mx.example.net"]));
        options.protocols = only("TLSv1.3");
        let side = ServerSide::new(options).expect("goes together");
        let old = client(ClientOptions { protocols: only("TLSv1.2"), ..client_options() });
        let ((_, at_client), (_, at_server)) = shake(&old, &side, "mx.example.net").await;
        assert!(matches!(at_client, Err(TlsError::Refused(alert)) if alert == "ProtocolVersion"));
        assert!(matches!(at_server, Err(TlsError::Peer(_))));
    });
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection() {
    on_a_shard(|| async {
        let side = server(Authority::new().identity(&["mx.example.net"]));
        let ((near, _), (far, agreed)) = shake(&client(client_options()), &side, "mx.example.net").await;
        agreed.expect("agrees");
        near.send_in_clear(Bytes::from_static(b"\x17\x03\x03\x00\x18NOT WHAT THE KEYS GIVE..")).await;
        let error = far.recv().await.expect_err("cannot be decrypted");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(far.send(Bytes::from_static(b"250 Ok\r\n")).await.is_err());
        far.close().await.expect("there is nothing to say");
        assert!(near.recv().await.is_err(), "the peer is told");
    });
}

#[test]
fn a_message_without_end_is_not_gathered() {
    on_a_shard(|| async {
        let side = server(Authority::new().identity(&["mx.example.net"]));
        let (near, far) = pair().await;
        let sending = spawn(Class::Interactive, async move {
            // A handshake message of 16 MiB, begun in records of 16 KiB.
            let mut record = vec![0; 16 * 1024];
            record[..4].copy_from_slice(&[0x01, 0xff, 0xff, 0xff]);
            for _ in 0..64 {
                let mut list = vec![Bytes::from_static(b"\x16\x03\x01\x40\x00")];
                list.push(record.clone().into());
                if near.send_list(list).await.is_err() {
                    return;
                }
                record.fill(0);
            }
        });
        let error = far.accept_tls(&side).await.expect_err("must not agree");
        assert!(matches!(error, TlsError::Peer(_) | TlsError::Own(_)), "{error:?}");
        drop(far);
        let _ = sending.await;
    });
}
