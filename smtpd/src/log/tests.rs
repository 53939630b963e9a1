//! The lines that are written, against the table and against what tools were told to expect.

use net::smtp::reply::{EnhancedCode, Reply};
use uuid::Uuid;

use super::event::*;
use super::line::{Form, Line};
use super::table::{EVENTS, FIELDS, Field, Kind};
use super::*;

const TRANSACTION: Uuid = Uuid::from_u128(0x018f_6b1e_7c21_11ef_8d5b_0242_ac12_0002);
const REPORT: Uuid = Uuid::from_u128(0x018f_6b1e_7c21_11ef_8d5b_0242_ac12_0003);
const TLS: Tls<'static> = Tls { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", verified: true };

fn code(class: u8, subject: u16, detail: u16) -> Option<EnhancedCode> {
    Some(EnhancedCode { class, subject, detail })
}

/// One of each kind, in the order of the table.
fn with_samples(mut see: impl FnMut(&Event<'_>)) {
    let remote = "192.0.2.7:40112".parse().unwrap();
    see(&Event::Accepted(&Accepted {
        transaction: TRANSACTION,
        server: "inbound",
        remote,
        helo: Some(b"mx.example.com"),
        user: None,
        tls: Some(Tls { verified: false, ..TLS }),
        from: b"news@example.com",
        to: &[b"ann@example.net", b"bob@example.net"],
        recipients: 2,
        size_bytes: 24_013,
        took_ms: 12,
    }));
    see(&Event::Refused(&Refused {
        transaction: Some(TRANSACTION),
        priority: Priority::Info,
        server: "inbound",
        remote,
        action: Action::Message,
        code: 552,
        enhanced: code(5, 3, 4),
        text: "Message too large",
    }));
    see(&Event::AuthFailed(&AuthFailed {
        server: "submission",
        remote: "[2001:db8::7]:40112".parse().unwrap(),
        mechanism: "PLAIN",
        user: Some(b"bob\r\n"),
        why: "wrong user or password",
    }));
    see(&Event::TlsFailed(&TlsFailed { server: "inbound", remote, error: "the peer refused: UnknownCA" }));
    let taken = Reply::new(250, code(2, 0, 0), "Ok: queued as 4Ws\n\"thanks\"");
    let attempted = Attempted {
        transaction: TRANSACTION,
        queue_id: 1,
        from: b"news@example.com",
        to: b"ann@example.net",
        transport: "by-mx",
        size_bytes: 24_013,
        retry: 0,
        peer: Peer {
            mx: Some("mx1.example.net"),
            remote: Some("198.51.100.25:25".parse().unwrap()),
            local: Some("192.0.2.5".parse().unwrap()),
            tls: Some(TLS),
        },
        delays: Delays { queue_ms: 3, dns_ms: 18, connect_ms: 95, send_ms: 240 },
        result: AttemptResult::Delivered,
        answer: Answer { state: "EOD", enhanced: code(2, 0, 0), cause: AnswerCause::Reply(&taken) },
    };
    see(&Event::Attempted(&attempted));
    see(&Event::Attempted(&Attempted {
        peer: Peer { tls: None, local: None, ..attempted.peer },
        result: AttemptResult::Deferred { next_s: 60 },
        answer: Answer {
            state: "CONNECT",
            enhanced: code(4, 4, 1),
            cause: AnswerCause::Error("Connection refused (os error 111)"),
        },
        ..attempted
    }));
    see(&Event::Attempted(&Attempted {
        queue_id: 2,
        to: b"bob@example.net",
        retry: 1,
        result: AttemptResult::Failed { why: "permanent" },
        answer: Answer {
            state: "RCPT",
            enhanced: code(5, 1, 1),
            cause: AnswerCause::ReplyText("550 5.1.1 no such user"),
        },
        ..attempted
    }));
    see(&Event::Waiting(&Waiting {
        transaction: TRANSACTION,
        transport: "by-mx",
        to: b"ann@example.net",
        recipients: 1,
        mx: None,
        next_s: Some(15),
        error: "no name server answers",
    }));
    let end = Final {
        transaction: TRANSACTION,
        queue_id: 2,
        end: End::Bounced(REPORT),
        from: b"news@example.com",
        to: b"bob@example.net",
        transport: "by-mx",
        size_bytes: 24_013,
        retry: 2,
        age_s: 74,
        why: "permanent",
        error: "RCPT: 550 5.1.1 no such user",
    };
    see(&Event::Final(&end));
    see(&Event::Final(&Final { end: End::Removed, from: b"", why: "null-sender", ..end }));
    see(&Event::Final(&Final { end: End::Held, why: "operator", ..end }));
    let expired = Final { why: "expired", error: "no name server answers", ..end };
    see(&Event::Final(&Final { end: End::Expired, ..expired }));
    see(&Event::Final(&Final { end: End::Delayed(REPORT), why: "notify", ..expired }));
}

fn written(event: &Event<'_>, form: Form) -> String {
    let mut out = String::new();
    event.write(&mut Line::new(&mut out, form));
    out
}

/// The lines are an interface: tools of operators read them.
#[test]
fn each_event_is_written_as_the_golden_lines_say() {
    let mut lines = String::new();
    with_samples(|event| {
        lines.push_str(&written(event, Form::Text));
        lines.push('\n');
    });
    assert_eq!(lines, include_str!("golden.txt"));
}

#[test]
fn each_event_in_json_is_written_as_the_golden_lines_say() {
    let mut lines = String::new();
    with_samples(|event| {
        lines.push_str(&written(event, Form::Json));
        lines.push('\n');
    });
    assert_eq!(lines, include_str!("golden.json.txt"));
}

#[test]
fn each_event_has_the_fields_of_its_row_in_their_order() {
    let mut seen = Vec::new();
    with_samples(|event| {
        let row = event.kind().row();
        seen.push(row.kind);
        let line = written(event, Form::Text);
        let fields: Vec<&str> = names(&line).collect();
        let instead = |field: &Field| match field {
            Field::Reply => !fields.contains(&"error"),
            Field::Error => !fields.contains(&"reply"),
            _ => true,
        };
        let expected: Vec<&str> =
            row.fields.iter().filter(|field| instead(field)).map(|field| field.name()).collect();
        assert_eq!(fields, expected, "{line}");
        assert!(line.contains(&format!("] {} ", row.name)), "{line}");
    });
    assert_eq!(seen, EVENTS.iter().map(|row| row.kind).collect::<Vec<Kind>>(), "a sample of each");
    for (field, name, _) in FIELDS {
        assert!(EVENTS.iter().any(|row| row.fields.contains(field)), "nothing has the field {name}");
    }
}

/// The names of `name=value` outside of quotes and brackets.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let mut closing = None;
    let mut escaped = false;
    let split = move |c: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match (c, closing) {
            ('\\', Some(_)) if !was_escaped => escaped = true,
            ('"', None) => closing = Some('"'),
            ('<', None) => closing = Some('>'),
            (c, Some(end)) if c == end && !was_escaped => closing = None,
            _ => {}
        }
        c == ' ' && closing.is_none()
    };
    line.split(split).skip(2).filter_map(|word| word.split_once('=')).map(|(name, _)| name)
}

/// The syslog socket is there, and its reader stands still: no shard waits, and what does not fit is counted.
#[test]
fn a_syslog_that_stands_still_costs_lines_and_no_time() {
    use engine::boot::{DriverChoice, Options};
    let path = std::env::temp_dir().join(format!("smtpd-log-{}", std::process::id()));
    let silent = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let mut syslog = Syslog::new(2, 255);
    syslog.socket.clone_from(&path);
    let silent = std::sync::Mutex::new(Some(silent));
    let options = Options { shards: 0, pin: false, driver: DriverChoice::Auto, signals: Vec::new() };
    engine::boot::run(options, move |_| {
        let target = Target::Syslog(syslog.clone());
        let silent = silent.lock().unwrap().take();
        async move {
            let output = Output::start(target.clone());
            let log = Log::start(target);
            let begun = engine::time::now_precise();
            let long = "x".repeat(10_000);
            for _ in 0..40 {
                for _ in 0..30 {
                    log.line(Priority::Info, format_args!("{long}"));
                }
                engine::task::yield_now().await;
                log.flush();
            }
            let took = engine::time::now_precise() - begun;
            assert!(took < std::time::Duration::from_secs(2), "{took:?}");
            let dropped = Output::lines_dropped_here();
            assert!(dropped > 0, "12 MB do not fit into 8");
            output.drain(std::time::Duration::from_millis(50)).await;
            // The write that hangs ends with its reader.
            drop(silent);
            output.drain(std::time::Duration::from_secs(5)).await;
            assert!(Output::lines_dropped_here() >= dropped, "those that it was said of count on");
        }
    })
    .unwrap();
    std::fs::remove_file(&path).unwrap();
}

/// The text of `docs/reference/log-events.md`.
fn reference() -> String {
    let mut text = String::from(include_str!("reference.md"));
    text.push_str("\n## Events\n");
    with_samples(|event| {
        let row = event.kind().row();
        let (name, priority) = (row.name, row.priority.name());
        let accounted = if row.accounted { "; in the accounting file" } else { "" };
        let ids = match row.ids {
            table::Ids::Transaction => "transaction",
            table::Ids::Recipient => "transaction and recipient",
        };
        let meaning = row.meaning;
        let line = written(event, Form::Text);
        text.push_str(&format!(
            "\n### {name}\n\n{meaning}. Priority {priority}; ids: {ids}{accounted}.\n\n```\n{line}\n```\n"
        ));
    });
    text.push_str("\n## Fields\n\n| Field | Meaning | In |\n|---|---|---|\n");
    for (field, name, meaning) in FIELDS {
        let rows = EVENTS.iter().filter(|row| row.fields.contains(field));
        let rows: Vec<&str> = rows.map(|row| row.name).collect();
        text.push_str(&format!("| `{name}` | {meaning} | {} |\n", rows.join(", ")));
    }
    text
}

/// `UPDATE_DOCS=1 cargo test -p smtpd` writes it.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test stands outside the engine")]
fn the_reference_of_events_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/log-events.md");
    let text = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "docs/reference/log-events.md is stale: UPDATE_DOCS=1 cargo test -p smtpd");
}
