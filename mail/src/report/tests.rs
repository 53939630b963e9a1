//! Reports against the texts in `cases/`, which the end-to-end tests also give to another implementation to parse.
//! `UPDATE_CASES=1 cargo test -p mail report` writes them anew.

use bytes::Bytes;

use super::*;

fn report(action: Action) -> Report {
    Report {
        action,
        host: "mx1.example.org".into(),
        from: "MAILER-DAEMON@mx1.example.org".into(),
        from_name: "Mail Delivery System".into(),
        to: "kim@example.org".into(),
        id: "018f0000-0000-7000-8000-000000000002".into(),
        changes: Changes::default(),
        boundary: "=_b0undary".into(),
        date_unix_s: 1_700_003_600,
        original: Original {
            id: "018f0000-0000-7000-8000-000000000001".into(),
            envelope_id: None,
            arrival_unix_s: 1_700_000_000,
            smtp_utf8: false,
            returned: Returned::Header {
                bytes: Bytes::from_static(
                    b"From: Kim <kim@example.org>\r\nTo: Jo <jo@example.com>\r\nMessage-ID: <1@example.org>\r\n\
                      Subject: hello\r\n",
                ),
                shortened: false,
            },
        },
        recipients: vec![refused()],
    }
}

fn refused() -> Recipient {
    Recipient {
        address: b"jo@example.com".to_vec(),
        original: None,
        status: (5, 1, 1),
        remote: Some(Remote { name: "mx.example.com".into(), address: [192, 0, 2, 1].into() }),
        phase: Some("RCPT"),
        diagnostic: Diagnostic::Reply("550 5.1.1 no such user".into()),
        last_attempt_unix_s: Some(1_700_003_599),
        will_retry_until_unix_s: None,
    }
}

fn cases() -> Vec<(&'static str, Report)> {
    let failed = report(Action::Failed);

    let mut several = report(Action::Failed);
    several.original.envelope_id = Some(b"QQ+314 159".to_vec());
    several.recipients.push(Recipient {
        address: b"lee@example.net".to_vec(),
        original: Some((b"rfc822".to_vec(), b"lee+list@example.com".to_vec())),
        status: (4, 4, 7),
        remote: Some(Remote {
            name: "mx.example.net".into(),
            address: "2001:db8::1".parse().expect("valid"),
        }),
        phase: None,
        diagnostic: Diagnostic::Ours("connect to mx.example.net[2001:db8::1]:25: timed out".into()),
        last_attempt_unix_s: Some(1_700_003_500),
        will_retry_until_unix_s: None,
    });
    several.recipients.push(Recipient {
        address: b"max@nowhere.invalid".to_vec(),
        status: (5, 1, 2),
        remote: None,
        phase: None,
        diagnostic: Diagnostic::Ours("nowhere.invalid: no such domain".into()),
        ..refused()
    });
    several.original.returned = Returned::Message(Bytes::from_static(
        b"Message-ID: <2@example.org>\r\nSubject: caf\xc3\xa9\r\n\r\n--=_b0\r\nbody \xe9\r\n.\r\n",
    ));

    let mut delayed = report(Action::Delayed);
    delayed.recipients[0].will_retry_until_unix_s = Some(1_700_432_000);
    delayed.recipients[0].status = (4, 2, 2);
    delayed.recipients[0].diagnostic = Diagnostic::Reply(
        "452 4.2.2 mailbox full, see https://example.com/a/very/long/address/that/explains/it/all".into(),
    );

    let mut relayed = report(Action::Relayed);
    relayed.recipients[0].status = (2, 0, 0);
    relayed.recipients[0].phase = Some("EOD");
    relayed.recipients[0].diagnostic = Diagnostic::Reply("250 2.0.0 queued as 42".into());
    relayed.original.returned = Returned::Nothing;

    let mut utf8 = report(Action::Failed);
    utf8.to = "kím@example.org".into();
    utf8.original.smtp_utf8 = true;
    utf8.recipients[0].address = "jó@exämple.com".into();
    utf8.recipients[0].original = Some((b"utf-8".to_vec(), "jó@exämple.com".into()));
    utf8.original.returned =
        Returned::Header { bytes: Bytes::from_static("Subject: grüße\r\n".as_bytes()), shortened: true };

    let mut hostile = report(Action::Failed);
    hostile.to = "kim\r\nBcc: x@example.org".into();
    hostile.from_name = "Mail \"Desk\" \\ Søren\r\nX: y".into();
    hostile.original.envelope_id = Some(b"a\r\nAction: delivered".to_vec());
    hostile.recipients[0].address = b"j\r\n.\r\n\xff@example.com".to_vec();
    hostile.recipients[0].diagnostic =
        Diagnostic::Reply(format!("550 a\r\n\r\nStatus: 2.0.0 {}", "x".repeat(2000)));
    hostile.original.returned =
        Returned::Header { bytes: Bytes::from_static(b"Message-ID: <a\r\n b@c>\r\nX\r\n"), shortened: false };

    vec![
        ("failed", failed),
        ("several", several),
        ("delayed", delayed),
        ("relayed", relayed),
        ("utf8", utf8),
        ("hostile", hostile),
    ]
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may touch the repository it belongs to")]
fn reports_are_as_recorded() {
    for (name, report) in cases() {
        let written = report.write().bytes;
        let path = format!("{}/src/report/cases/{name}.eml", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(&path, &written).expect("writable");
        }
        let expected = std::fs::read(&path).expect("recorded");
        assert!(written == expected, "{name}:\n{}", String::from_utf8_lossy(&written));
    }
}

#[test]
fn no_line_is_too_long_or_broken() {
    for (name, report) in cases() {
        let written = report.write();
        let text = String::from_utf8_lossy(&written.bytes).into_owned();
        assert!(text.ends_with("--=_b0undary--\r\n"), "{name}");
        assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])), "{name}");
        assert_eq!(written.eight_bit, !written.bytes.is_ascii(), "{name}");
        assert_eq!(written.smtp_utf8, name == "utf8", "{name}");
    }
}

#[test]
fn nothing_hostile_adds_a_field() {
    let (_, report) = cases().pop().expect("the last case");
    let text = String::from_utf8_lossy(&report.write().bytes).into_owned();
    for field in ["\r\nBcc:", "\r\nX: y", "\r\nAction: delivered", "\r\nStatus: 2", "\r\nIn-Reply-To:"] {
        assert!(!text.contains(field), "{field} in\n{text}");
    }
}

#[test]
fn a_header_ends_before_its_blank_line() {
    let cases = [("A: b\r\n\r\nbody", 6), ("\r\nbody", 0), ("A: b\r\n", 6), ("", 0)];
    for (message, end) in cases {
        assert_eq!(header_end(message.as_bytes()), end, "{message:?}");
    }
}

/// A report had two of them, and the first Content-Type, which counts, was not that of a report.
#[test]
fn a_field_of_a_script_stands_instead_of_the_reports_own() {
    let own = report(Action::Failed);
    let mut changed = own.clone();
    let fields = [
        "subject: Returned mail",
        "FROM: Desk <desk@example.org>",
        "X-Queue: bulk",
        "Auto-Submitted: auto-generated",
    ];
    changed.changes.fields = fields.map(str::to_owned).into();
    let names = |report: &Report| {
        let bytes = report.write().bytes;
        let mut fields = Vec::new();
        header::scan(&bytes, 0, &mut fields, 100, |_| false);
        let names =
            fields.iter().map(|field| String::from_utf8_lossy(field.name(&bytes)).to_ascii_lowercase());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let mut expected = names(&own);
    expected.push("x-queue".to_owned());
    expected.sort();
    assert_eq!(names(&changed), expected);
    let written = String::from_utf8(changed.write().bytes).expect("ASCII");
    for field in [
        "subject: Returned mail\r\n",
        "FROM: Desk <desk@example.org>\r\n",
        "Auto-Submitted: auto-generated\r\n",
    ] {
        assert!(written.contains(field), "{field}: {written}");
    }
    assert_eq!(field_place("Content-Type"), FieldPlace::Nowhere);
    assert_eq!(field_place("Mime-Version"), FieldPlace::Nowhere);
    for name in names(&own) {
        assert_ne!(field_place(&name), FieldPlace::Beside, "{name}");
    }
}

#[test]
fn a_readable_part_has_a_header_and_lines() {
    for (given, part) in [
        ("Content-Type: text/plain\n\nbare\nlf\n", Some("Content-Type: text/plain\r\n\r\nbare\r\nlf\r\n")),
        ("A: 1\r\nB: 2\r\n c\r\n\r\n", Some("A: 1\r\nB: 2\r\n c\r\n\r\n")),
        ("A: 1\n", None),
        ("A: 1", None),
        ("no header at all", None),
        ("no header at all\n\nbody", None),
        (" folded\nA: 1\n\nbody", None),
        ("\nbody", None),
        ("", None),
    ] {
        assert_eq!(readable_part(given).as_deref(), part.map(str::as_bytes), "{given:?}");
    }
}
