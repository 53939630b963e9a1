use std::time::Duration;

use control::smtpd::StringMatch;
use engine::sim::Sim;

use super::*;

fn addresses() -> (SocketAddr, SocketAddr) {
    (([192, 0, 2, 1], 25).into(), ([192, 0, 2, 9], 4711).into())
}

/// What a session to server `in` says, on a shard on which `filter` is traced as number 0.
fn converse(filter: &Arc<Filter>) {
    let traces = Traces::default();
    let mut tap = Tap::default();
    assert!(!tap.is_stale(&traces) && !tap.is_on(), "nobody watches");
    traces.start(0, Arc::clone(filter));
    assert!(tap.is_stale(&traces));
    let (local, remote) = addresses();
    tap.renew(&traces, Who { outgoing: false, remote: remote.ip(), name: "in" }, (local, remote), None);
    assert!(!tap.is_stale(&traces));
    tap.sent(b"220 mx\r\n");
    tap.received(b"EHLO c\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@a.example>\r\n");
    tap.received(b"RCPT TO:<x@B.Example>\r\n");
    tap.note(format_args!("message, 12 bytes"));
}

/// The events that an operator gets.
fn events_of(request: TraceRequest) -> Vec<String> {
    let filter = Arc::new(Filter::of(&request).expect("good"));
    let mut sim = Sim::new(7);
    let host = sim.host("server");
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let out = Arc::clone(&seen);
    sim.start(host, 1, move |id| {
        let (filter, out, request) = (Arc::clone(&filter), Arc::clone(&out), request.clone());
        async move {
            if id != engine::boot::control() {
                engine::time::sleep(Duration::from_millis(10)).await;
                return converse(&filter);
            }
            let subscription = Subscription::start(&request, 1).expect("good");
            while let Ok(event) = engine::time::timeout(Duration::from_secs(1), subscription.next()).await {
                let text = String::from_utf8_lossy(&event.text).into_owned();
                out.lock()
                    .expect("one thread")
                    .push(format!("{:?} {text}", event.kind()).trim_end().to_owned());
            }
            assert_eq!((subscription.connections(), subscription.lost()), (1, 0));
        }
    });
    sim.run_for(Duration::from_secs(10));
    std::mem::take(&mut *seen.lock().expect("one thread"))
}

#[test]
fn an_operator_sees_both_sides_without_secrets_and_without_the_message() {
    let expected = [
        "Open",
        "Sent 220 mx",
        "Received EHLO c",
        "Received AUTH PLAIN ***",
        "Received MAIL FROM:<a@a.example>",
        "Received RCPT TO:<x@B.Example>",
        "Note message, 12 bytes",
        "Close",
    ];
    assert_eq!(events_of(TraceRequest::default()), expected);
}

#[test]
fn who_asks_for_a_recipients_domain_sees_what_came_before_it_too() {
    let text = StringMatch { value: "b.example".to_owned(), ..StringMatch::default() };
    let events = events_of(TraceRequest { recipientdomains: vec![text], ..TraceRequest::default() });
    assert_eq!((events.len(), events[0].as_str()), (8, "Open"), "{events:?}");
}
