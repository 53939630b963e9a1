//! Certificates of both sides.

use super::*;

/// The peer's fault in words.
fn fault(agreed: Result<TlsInfo, TlsError>) -> String {
    agreed.expect_err("must not agree").to_string()
}

#[test]
fn a_client_takes_what_it_demands_and_nothing_else() {
    on_a_shard(|| async {
        let authority = Authority::new();
        let ours =
            |names, sni| ClientOptions { issuers: Some(authority.roots()), names, sni, ..client_options() };
        let good = server(authority.identity(&["mx.example.net", "*.example.org"]));
        let stranger = server(Authority::new().identity(&["mx.example.net"]));
        let (chain, key) = authority.issue(&["mx.example.net"], Valid::LongAgo);
        let expired = server(Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("fits"));
        let host = || ours(VerifyName::Host, Sni::Host);
        let one_of = |name: &str| ours(VerifyName::OneOf(vec![name.into()]), Sni::Host);
        let cases = [
            (host(), &good, "mx.example.net", None),
            (host(), &good, "a.example.org", None),
            (host(), &good, "a.b.example.org", Some("not for a.b.example.org")),
            (host(), &good, "192.0.2.1", Some("not for 192.0.2.1")),
            (host(), &good, "under_score", Some("mx.example.net, *.example.org, not for under_score")),
            (ours(VerifyName::Any, Sni::Off), &good, "other.example.com", None),
            (one_of("mx.example.net"), &good, "other.example.com", None),
            (one_of("mx.example.com"), &good, "mx.example.net", Some("it is for another name")),
            (ours(VerifyName::Host, Sni::Name("x.example".into())), &good, "mx.example.net", None),
            (
                ours(VerifyName::Host, Sni::Name("mx.example.net".into())),
                &good,
                "mx.example.com",
                Some("not for mx.example.com"),
            ),
            (host(), &stranger, "mx.example.net", Some("no authority that is trusted here")),
            (host(), &expired, "mx.example.net", Some("it has expired")),
            (client_options(), &expired, "other.example.com", None),
            (client_options(), &stranger, "other.example.com", None),
        ];
        for (number, (options, side, host, expected)) in cases.into_iter().enumerate() {
            let checked = options.issuers.is_some();
            let ((_, agreed), _) = shake(&client(options), side, host).await;
            match expected {
                Some(expected) => {
                    let error = agreed.expect_err("must not agree");
                    assert!(error.is_certificate(), "case {number}: {error}");
                    assert!(error.to_string().contains(expected), "case {number}: {error}");
                }
                None => {
                    let verified = agreed.unwrap_or_else(|error| panic!("case {number}: {error}")).verified;
                    let expected = if checked { Verified::Passed } else { Verified::Unchecked };
                    assert_eq!(verified, expected, "case {number}");
                }
            }
        }
    });
}

#[test]
fn a_server_asks_clients_for_certificates_as_it_is_told() {
    on_a_shard(|| async {
        let authority = Authority::new();
        let none = || client(client_options());
        let with = |identity| client(ClientOptions { identity: Some(identity), ..client_options() });
        let good = || with(authority.identity(&["client.example.net"]));
        let stranger = || with(Authority::new().identity(&["client.example.net"]));
        let failed = |why: &str| Verified::Failed(why.into());
        let unknown = "no authority that is trusted here has issued it";
        let roots = authority.roots();
        let nobody = Roots::load(false, &[]);
        let cases = [
            (ClientCertificates::Ignored, good(), Ok((false, Verified::Unchecked))),
            (ClientCertificates::Optional(roots.clone()), none(), Ok((false, Verified::Unchecked))),
            (ClientCertificates::Optional(roots.clone()), good(), Ok((true, Verified::Passed))),
            (ClientCertificates::Optional(roots.clone()), stranger(), Ok((true, failed(unknown)))),
            (ClientCertificates::Optional(nobody), good(), Ok((true, failed(unknown)))),
            (ClientCertificates::Required(roots.clone()), good(), Ok((true, Verified::Passed))),
            (ClientCertificates::Required(roots.clone()), none(), Err("the peer sent none")),
            (ClientCertificates::Required(roots.clone()), stranger(), Err(unknown)),
        ];
        for (number, (clients, client, expected)) in cases.into_iter().enumerate() {
            let mut options = server_options(authority.identity(&["mx.example.net"]));
            options.clients = clients;
            let side = ServerSide::new(options).expect("goes together");
            let ((near, _), (_, agreed)) = shake(&client, &side, "mx.example.net").await;
            match expected {
                Ok((shown, verified)) => {
                    let info = agreed.unwrap_or_else(|error| panic!("case {number}: {error}"));
                    let fault = info.certificate.as_ref().map_or(0, |certificate| certificate.fault);
                    assert_eq!(fault == 20, matches!(verified, Verified::Failed(_)), "{number}");
                    assert_eq!((info.certificate.is_some(), info.verified), (shown, verified), "{number}");
                }
                Err(why) => {
                    let fault = fault(agreed);
                    assert!(fault.contains(why), "case {number}: {fault}");
                    assert!(near.recv().await.is_err(), "case {number}: the client learns it");
                }
            }
        }
    });
}

#[test]
fn a_session_begun_without_a_certificate_does_not_open_a_server_that_demands_one() {
    on_a_shard(|| async {
        let authority = Authority::new();
        let mut options = server_options(authority.identity(&["mx.example.net"]));
        let open = ServerSide::new(options.clone()).expect("goes together");
        options.clients = ClientCertificates::Required(authority.roots());
        let closed = ServerSide::new(options).expect("goes together");
        let client = client(client_options());
        let ((near, _), (far, agreed)) = shake(&client, &open, "mx.example.net").await;
        agreed.expect("agrees");
        far.send(Bytes::from_static(b"220 ready\r\n")).await.expect("sends");
        recv_exactly(&near, 11).await;
        let (_, (_, agreed)) = shake(&client, &closed, "mx.example.net").await;
        assert!(fault(agreed).contains("the peer sent none"));
    });
}

#[test]
fn a_key_of_another_certificate_is_noticed() {
    let authority = Authority::new();
    let (chain, key) = authority.issue(&["mx.example.net"], Valid::Now);
    let (_, other_key) = authority.issue(&["mx.example.net"], Valid::Now);
    let identity = |chain: &str, key: &str| Identity::from_pem(chain.as_bytes(), key.as_bytes());
    let fine = identity(&chain, &key).expect("fits");
    assert_eq!(&*fine.subject, "CN=mx.example.net");
    assert!(fine.not_before_s < fine.not_after_s);
    assert!(identity(&format!("{key}{chain}"), &format!("{chain}{key}")).is_ok(), "one file for both");
    let texts = [
        (chain.as_str(), other_key.as_str(), "the private key is not that of the certificate"),
        ("", key.as_str(), "the certificate cannot be used: there is no PEM block CERTIFICATE in it"),
        (chain.as_str(), chain.as_str(), "the private key cannot be used: there is no PEM block"),
        (
            chain.as_str(),
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "it is encrypted",
        ),
        (&chain[..200], key.as_str(), "the certificate cannot be used: its PEM text is damaged"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key.as_str(), "cannot be used"),
        (chain.as_str(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be used"),
    ];
    for (chain, key, expected) in texts {
        let error = identity(chain, key).expect_err("must not fit").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The certificate and key of an authority with a name of its own, as `openssl req -x509` makes them.
fn self_signed(valid: Valid) -> (CertificateDer<'static>, Identity) {
    let mut params = CertificateParams::new(vec!["mx.example.net".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "mx.example.net");
    if let Valid::LongAgo = valid {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().expect("generates");
    let certificate = params.self_signed(&key).expect("signs").der().clone();
    let (chain, key) = (pem("CERTIFICATE", &certificate), pem("PRIVATE KEY", &key.serialize_der()));
    (certificate, Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("fits"))
}

#[test]
fn an_authority_that_shows_its_own_certificate_passes_where_it_is_trusted_itself() {
    on_a_shard(|| async {
        let (trusted, identity) = self_signed(Valid::Now);
        let (_, stranger) = self_signed(Valid::Now);
        let (old, expired) = self_signed(Valid::LongAgo);
        let roots = Roots::load(false, &[trusted, old]);
        let options = |host: bool| ClientOptions {
            issuers: Some(roots.clone()),
            names: if host { VerifyName::Host } else { VerifyName::Any },
            ..client_options()
        };
        let (own, stranger, expired) = (server(identity), server(stranger), server(expired));
        for host in [true, false] {
            let ((_, agreed), _) = shake(&client(options(host)), &own, "mx.example.net").await;
            assert_eq!(agreed.expect("is trusted").verified, Verified::Passed);
        }
        let ((_, agreed), _) = shake(&client(options(true)), &own, "mx.example.com").await;
        assert!(fault(agreed).contains("not for mx.example.com"));
        // The same name with another key.
        let ((_, agreed), _) = shake(&client(options(true)), &stranger, "mx.example.net").await;
        assert!(fault(agreed).contains("an authority, which is not trusted itself"));
        let ((_, agreed), _) = shake(&client(options(true)), &expired, "mx.example.net").await;
        assert!(fault(agreed).contains("it has expired"));
    });
}
