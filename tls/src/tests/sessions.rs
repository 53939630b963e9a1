//! What two sides that get along do.

use super::*;

#[test]
fn what_is_sent_arrives_and_the_close_shows_in_both_versions() {
    on_a_shard(|| async {
        let authority = Authority::new();
        let side = server(authority.identity(&["mx.example.net"]));
        for (version, cipher) in
            [("TLSv1.3", "TLS_AES_256_GCM_SHA384"), ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")]
        {
            let client = client(ClientOptions { protocols: only(version), ..client_options() });
            let ((near, at_client), (far, at_server)) = shake(&client, &side, "mx.example.net").await;
            let (at_client, at_server) = (at_client.expect("agrees"), at_server.expect("agrees"));
            for info in [&at_client, &at_server] {
                assert_eq!((info.version, info.cipher, info.key_bits), (version, cipher, 256));
                assert!(!info.resumed && info.verified == Verified::Unchecked);
            }
            assert_eq!(at_server.sni.as_deref(), Some("mx.example.net"));
            assert_eq!(at_server.certificate, None);
            assert_eq!(&*at_client.certificate.expect("shown").subject, "CN=mx.example.net");
            near.send(Bytes::from_static(b"EHLO there\r\n")).await.expect("sends");
            assert_eq!(&*far.recv().await.expect("receives"), b"EHLO there\r\n");
            far.send_list(vec![Bytes::from_static(b"250 "), Bytes::new(), Bytes::from_static(b"OK\r\n")])
                .await
                .expect("sends");
            assert_eq!(&*near.recv().await.expect("receives"), b"250 OK\r\n");
            far.close().await.expect("closes");
            assert!(near.recv().await.expect("receives").is_empty());
            assert!(near.recv().await.expect("receives").is_empty(), "the end stays");
        }
    });
}

#[test]
fn lists_of_all_sizes_arrive_whole_while_the_other_way_is_busy_too() {
    on_a_shard(|| async {
        let authority = Authority::new();
        let side = server(authority.identity(&["mx.example.net"]));
        let ((near, _), (far, agreed)) = shake(&client(client_options()), &side, "mx.example.net").await;
        agreed.expect("agrees");
        let whole = pattern(700_000);
        let cuts = [0, 1, 2, 5000, 5001, 70_000, 300_000, 300_001, 500_000, 699_999, 700_000];
        let list: Vec<Bytes> = cuts.windows(2).map(|cut| whole.slice(cut[0]..cut[1])).collect();
        let sending = spawn(Class::Interactive, async move {
            near.send_list(list).await.expect("sends");
            recv_exactly(&near, 300_000).await
        });
        let back = whole.slice(..300_000);
        far.send(back.clone()).await.expect("sends");
        assert_eq!(recv_exactly(&far, whole.len()).await, whole);
        assert_eq!(sending.await.expect("runs"), back);
    });
}

#[test]
fn a_client_that_comes_back_continues_its_session_also_after_a_reload() {
    on_a_shard(|| async {
        let authority = Authority::new();
        let identity = authority.identity(&["mx.example.net"]);
        for version in ["TLSv1.2", "TLSv1.3"] {
            let options = server_options(identity.clone());
            let client = client(ClientOptions {
                protocols: only(version),
                issuers: Some(authority.roots()),
                names: VerifyName::Host,
                ..client_options()
            });
            for resumed in [false, true, true] {
                // Made anew each time, as a reload does it.
                let side = ServerSide::new(options.clone()).expect("goes together");
                let ((near, at_client), (far, at_server)) = shake(&client, &side, "mx.example.net").await;
                let (at_client, at_server) = (at_client.expect("agrees"), at_server.expect("agrees"));
                assert_eq!((at_client.resumed, at_server.resumed), (resumed, resumed), "{version}");
                assert_eq!(at_client.verified, Verified::Passed);
                assert_eq!(at_server.sni.as_deref(), Some("mx.example.net"));
                // Tickets come with the first bytes.
                far.send(Bytes::from_static(b"220 ready\r\n")).await.expect("sends");
                assert_eq!(recv_exactly(&near, 11).await, b"220 ready\r\n");
            }
        }
    });
}

#[test]
fn a_server_shows_the_certificate_for_the_name_that_is_asked_for() {
    on_a_shard(|| async {
        let authority = Authority::new();
        let by_name = [("Mail.Example.NET", "exact"), ("*.example.net", "wildcard")];
        let by_name = by_name.map(|(name, subject)| (name.to_owned(), authority.identity(&[subject])));
        let mut options = server_options(authority.identity(&["default"]));
        options.by_name = by_name.into();
        let side = ServerSide::new(options).expect("goes together");
        for (host, sni, subject) in [
            ("mail.example.net", Sni::Host, "CN=exact"),
            ("mx1.example.net", Sni::Host, "CN=wildcard"),
            ("a.b.example.net", Sni::Host, "CN=default"),
            ("example.net", Sni::Host, "CN=default"),
            ("example.org", Sni::Host, "CN=default"),
            ("mail.example.net", Sni::Off, "CN=default"),
            ("192.0.2.1", Sni::Host, "CN=default"),
            ("example.org", Sni::Name("mail.example.net".into()), "CN=exact"),
        ] {
            let sent = match &sni {
                Sni::Host if host != "192.0.2.1" => Some(host),
                Sni::Name(_) => Some("mail.example.net"),
                _ => None,
            };
            let client = client(ClientOptions { sni, ..client_options() });
            let ((_, at_client), (_, at_server)) = shake(&client, &side, host).await;
            assert_eq!(&*at_client.expect("agrees").certificate.expect("shown").subject, subject, "{host}");
            assert_eq!(at_server.expect("agrees").sni.as_deref(), sent, "{host}");
        }
    });
}

#[test]
fn suites_of_the_server_go_first_in_its_order() {
    on_a_shard(|| async {
        let authority = Authority::new();
        let mut options = server_options(authority.identity(&["mx.example.net"]));
        options.protocols.suites = Some(vec![0x1303, 0x1302, 0xc02b]);
        let side = ServerSide::new(options).expect("goes together");
        for (version, cipher) in
            [("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"), ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")]
        {
            let client = client(ClientOptions { protocols: only(version), ..client_options() });
            let ((_, agreed), _) = shake(&client, &side, "mx.example.net").await;
            assert_eq!(agreed.expect("agrees").cipher, cipher);
        }
    });
}
