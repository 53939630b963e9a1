//! What is queued: listed, counted, changed.

use std::time::{Duration, Instant};

use control::Command;
use control::smtpd as proto;
use proto::QueueState;
use proto::queue_update_request::Action;
use tests::{Builder, Client, Sink, SinkReply, Smtpd};

use super::{BODY, busy_sink, in_states, recipients, rows, send, text, to_domains, update, wait_for_rows};

/// A server whose script queues by the local part: `held-...` is held, with metadata `qid=week` and quota `q1`; `job-...` has
/// a job, `job2000-...` one with 2,000 letters; `large-...` is held with 16,000 bytes of metadata. The first retry is a minute off.
fn scripted(port: u16) -> Builder {
    let script = r#"
        foreach ($transaction["recipients"] as $r) {
            $who = $r["address"]["localpart"];
            $options = [];
            if (str_find($who, "held-") === 0)
                $options = ["hold" => true, "metadata" => ["qid" => "week"], "quotas" => ["q1"]];
            if (str_find($who, "job-") === 0)
                $options = ["jobid" => "x"];
            if (str_find($who, "job2000-") === 0)
                $options = ["jobid" => str_repeat("j", 2000)];
            if (str_find($who, "large-") === 0)
                $options = ["hold" => true, "metadata" => ["large" => str_repeat("m", 16000)]];
            $arguments["mail"]->queue($transaction["senderaddress"], $r["address"], $r["transportid"], $options);
        }
        Accept();"#;
    let indented: String = script.lines().map(|line| format!("          {line}\n")).collect();
    Smtpd::relay_to(port)
        .without_retry()
        .server("phases: {eod: {hook: x}}")
        .running(&format!("scripting:\n  hooks:\n    eod:\n      - id: x\n        data: |\n{indented}"))
}

#[test]
fn an_empty_queue_has_no_rows() {
    // OPS06
    let server = Smtpd::relay_to(1).start();
    let answer: proto::QueueListResponse =
        server.control().ask(Command::QueueList, &proto::QueueListRequest::default()).expect("an answer");
    assert_eq!(answer, proto::QueueListResponse::default());
}

#[test]
fn deferred_messages_show_what_they_are_and_what_the_last_attempt_came_to() {
    // OPS07, OPS09, OPS10
    let sink = busy_sink();
    let server = scripted(sink.port()).start();
    for to in ["a@a.example", "b@b.example", "job-c@a.example"] {
        send(server.port(), &[to]);
    }
    let mut control = server.control();
    let deferred = wait_for_rows(&mut control, &in_states(&[QueueState::Defer]), 3);
    for row in &deferred {
        let id = row.id.as_ref().expect("it has an id");
        assert_eq!((id.transaction.len(), id.queue, row.retry), (36, Some(1), 1));
        assert_eq!((row.serverid.as_str(), row.senderip.as_str()), ("default", "127.0.0.1"));
        assert_eq!((row.transportid.as_str(), row.sender.as_str()), ("out", "news@sender.example"));
        assert!(row.retryts > row.ts && row.senderhelo.contains('.') | !row.senderhelo.is_empty());
        let last = row.last.as_ref().expect("there was an attempt");
        assert_eq!((last.code, last.state.as_str()), (451, "RCPT"));
        assert_eq!(last.text, "451 4.3.0 come back later");
        assert_eq!((row.remoteip.as_str(), row.localip.as_str()), ("127.0.0.1", "127.0.0.1"));
        let waiting = row.waiting.as_ref().expect("it is said");
        assert_eq!(waiting.kind(), proto::waiting::Kind::Time);
    }
    let number = |operator: proto::number_match::Operator, value| proto::NumberMatch {
        value: Some(value),
        operator: operator.into(),
        ..Default::default()
    };
    use proto::number_match::Operator as Op;
    let old = proto::Conditions { ages: vec![number(Op::Gt, 3600.0)], ..Default::default() };
    assert_eq!(rows(&mut control, &old), []);
    let tried_once = proto::NumberMatch { min: Some(1.0), max: Some(2.0), ..Default::default() };
    let tried_once = proto::Conditions { retrycounts: vec![tried_once], ..Default::default() };
    assert_eq!(rows(&mut control, &tried_once).len(), 3);
    // OPS11, OPS12
    let both = to_domains(&["a.example", "b.example"]);
    let domains = proto::Conditions { recipients: both.clone(), ..Default::default() };
    assert_eq!(rows(&mut control, &domains).len(), 3);
    let with_job = proto::Conditions { recipients: both, jobids: vec![text("x")], ..Default::default() };
    assert_eq!(recipients(&rows(&mut control, &with_job)), ["job-c@a.example"]);
}

#[test]
fn a_listing_goes_on_by_its_cursor_and_sorts_within_bounds() {
    let server = scripted(1).shards(3).start();
    for message in 0..6 {
        let to: Vec<String> = (0..50).map(|number| format!("held-{message}-{number:02}@a.example")).collect();
        send(server.port(), &to.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let mut control = server.control();
    let request = proto::QueueListRequest { limit: 130, offset: 40, ..Default::default() };
    let page: proto::QueueListResponse = control.ask(Command::QueueList, &request).expect("an answer");
    assert_eq!((page.total, page.queue.len(), page.cursor.len()), (300, 130, 0));
    let sort = vec![proto::Sort { field: "recipient".into(), desc: true }];
    let request = proto::QueueListRequest { limit: 2, offset: 1, sort, ..Default::default() };
    let page: proto::QueueListResponse = control.ask(Command::QueueList, &request).expect("an answer");
    assert_eq!(page.total, 300);
    let all: Vec<_> = page.queue.iter().map(|row| row.recipient.as_str()).collect();
    assert_eq!(all, ["held-5-48@a.example", "held-5-47@a.example"]);
    let sort = vec![proto::Sort { field: "nonsense".into(), desc: true }];
    let request = proto::QueueListRequest { sort, ..Default::default() };
    let refused: Result<proto::QueueListResponse, _> = control.ask(Command::QueueList, &request);
    assert!(refused.expect_err("no such field").starts_with("there is no field \"nonsense\""));
}

#[test]
fn the_queue_is_counted_by_any_fields() {
    let server = scripted(1).start();
    send(server.port(), &["held-a@a.example", "held-b@b.example", "held-c@a.example"]);
    let by = |field: &str, key: Option<&str>| proto::GroupBy {
        field: field.into(),
        key: key.map(str::to_owned),
        intervals: Vec::new(),
    };
    let groupby = vec![by("recipientdomain", None), by("metadata", Some("qid"))];
    let request = proto::QueueGroupByRequest { groupby, ..Default::default() };
    let mut control = server.control();
    let answer: proto::QueueGroupByResponse =
        control.ask(Command::QueueGroupBy, &request).expect("an answer");
    let found: Vec<_> = answer.groups.iter().map(|group| (group.values.join(" "), group.count)).collect();
    assert_eq!(found, [("a.example week".to_owned(), 2), ("b.example week".to_owned(), 1)]);
    // Without fields it is the total.
    let request = proto::QueueGroupByRequest::default();
    let answer: proto::QueueGroupByResponse =
        control.ask(Command::QueueGroupBy, &request).expect("an answer");
    assert_eq!(answer.groups.len(), 1);
    assert_eq!(answer.groups[0].count, 3);
}

#[test]
fn an_update_holds_and_releases_and_counts_what_it_changed() {
    // OPS14, OPS15
    let sink = busy_sink();
    let server = scripted(sink.port()).start();
    let to: Vec<String> = (0..10).map(|number| format!("u{number}@a.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    send(server.port(), &to);
    send(server.port(), &["other@b.example"]);
    let mut control = server.control();
    wait_for_rows(&mut control, &in_states(&[QueueState::Defer]), 11);
    let waiting = proto::Conditions {
        recipients: to_domains(&["a.example"]),
        ..in_states(&[QueueState::Active, QueueState::Defer])
    };
    assert_eq!(update(&mut control, waiting.clone(), Action::Hold(proto::QueueHold {})), 10);
    assert_eq!(update(&mut control, waiting, Action::Hold(proto::QueueHold {})), 0, "they are held by now");
    let held = rows(&mut control, &in_states(&[QueueState::Hold]));
    assert_eq!(held.len(), 10);
    assert_eq!(held[0].waiting.as_ref().expect("it is said").text, "held by an operator");
    server.wait_for_log("control: uid ");
    server.wait_for_log("queue update --hold ");
    server.wait_for_log(": 10 recipients");

    sink.answer(SinkReply::Accept);
    let one = proto::Conditions { ids: vec![held[0].id.clone().expect("it has one")], ..Default::default() };
    let now = Action::Active(proto::QueueActive { delay: None });
    assert_eq!(update(&mut control, one.clone(), now), 1);
    assert_eq!(sink.wait_for(1)[0].to.len(), 1);
    wait_for_rows(&mut control, &one, 0);
    // The others stay, and can be put off.
    let held = in_states(&[QueueState::Hold]);
    let later = Action::Active(proto::QueueActive { delay: Some(300.0) });
    assert_eq!(update(&mut control, held, later), 9);
    let deferred = rows(&mut control, &in_states(&[QueueState::Defer]));
    let put_off = deferred.iter().filter(|row| row.recipient.ends_with("a.example"));
    assert!(put_off.clone().count() == 9 && put_off.clone().all(|row| row.retry == 1));
}

/// It had been acknowledged and then was in no list: delivered, listed and expired by nobody until a restart.
#[test]
fn a_job_with_too_long_a_name_fails_the_script_and_acknowledges_nothing() {
    let server = scripted(1).start();
    let reply = Client::connect(server.port()).try_send("a@sender.example", &["job2000-x@a.example"], BODY);
    assert!(reply.starts_with("4"), "{reply}");
    server.wait_for_log("option \"jobid\": 2000 bytes, at most 1024");
    assert_eq!(rows(&mut server.control(), &proto::Conditions::default()), []);
}

/// All asked at MAIL, when there was room; what came after the tenth was acknowledged and waited for the next start.
#[test]
fn what_is_acknowledged_beyond_the_bound_of_the_queue_is_queued() {
    let server = scripted(1).startup("queues: {maxmessages: 10}").shards(1).start();
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(server.port())).collect();
    for client in &mut clients {
        client.command("MAIL FROM:<a@sender.example>\r\n", "250");
        client.command("RCPT TO:<held-x@a.example>\r\n", "250");
        client.command("DATA\r\n", "354");
    }
    for client in &mut clients {
        client.write(b"Subject: x\r\n\r\nx\r\n.\r\n");
    }
    let taken = clients.iter_mut().map(Client::reply).filter(|reply| reply.starts_with("250")).count();
    assert!(taken >= 10, "{taken}");
    wait_for_rows(&mut server.control(), &proto::Conditions::default(), taken);
    assert!(!server.log().iter().any(|line| line.contains("not queued")));
    clients[0].command("MAIL FROM:<a@sender.example>\r\n", "452");
}

/// A debug build had ended, another forgotten the change at its next start.
#[test]
fn metadata_beyond_its_bound_is_refused_and_changes_nothing() {
    let server = scripted(1).start();
    send(server.port(), &["large-x@a.example"]);
    send(server.port(), &["held-x@a.example"]);
    let mut control = server.control();
    wait_for_rows(&mut control, &proto::Conditions::default(), 2);
    let mut set = |bytes: usize| -> Result<u64, String> {
        let properties = proto::QueueProperties {
            jobid: Some("new".to_owned()),
            metadata: [("key".to_owned(), "v".repeat(bytes))].into(),
            ..Default::default()
        };
        let request = proto::QueueUpdateRequest {
            conditions: Some(in_states(&[QueueState::Hold])),
            properties: Some(properties),
            ..Default::default()
        };
        let answer: Result<proto::QueueUpdateResponse, String> = control.ask(Command::QueueUpdate, &request);
        answer.map(|answer| answer.affected)
    };
    assert_eq!(set(20_000), Err("metadata: 20003 bytes, at most 16384".to_owned()));
    assert_eq!(set(1_000), Ok(1));
    server.wait_for_log(
        "queue update: 1 left as they are: with this, their metadata would be larger than 16384 bytes",
    );
    let server = server.kill().start();
    let mut jobs: Vec<_> = wait_for_rows(&mut server.control(), &proto::Conditions::default(), 2)
        .into_iter()
        .map(|row| (row.recipient, row.jobid, row.metadata.len()))
        .collect();
    jobs.sort();
    let expected = [("held-x@a.example", "new", 2), ("large-x@a.example", "", 1)];
    assert_eq!(jobs, expected.map(|(to, job, metadata)| (to.to_owned(), job.to_owned(), metadata)));
}

#[test]
fn properties_change_and_survive_a_crash_with_everything_else() {
    // OPS18, OPS67
    let sink = busy_sink();
    let server = scripted(sink.port()).start();
    send(server.port(), &["held-a@a.example", "held-b@a.example"]);
    send(server.port(), &["job-c@b.example", "d@c.example"]);
    let mut control = server.control();
    wait_for_rows(&mut control, &in_states(&[QueueState::Defer]), 2);
    let quota = proto::QueueQuotaRequest { name: Some("q1".into()) };
    let used: proto::QueueQuotaResponse = control.ask(Command::QueueQuota, &quota).expect("an answer");
    assert_eq!((used.quotas[0].count, used.quotas[0].bytes > 0), (2, true));

    let one = proto::AddressMatch { localpart: Some(text("held-a")), ..Default::default() };
    let properties = proto::QueueProperties {
        jobid: Some("moved".into()),
        tenantid: Some("t".into()),
        retry: Some(7),
        metadata: [("qid".to_owned(), "month".to_owned()), ("new".to_owned(), "1".to_owned())].into(),
        ..Default::default()
    };
    let request = proto::QueueUpdateRequest {
        conditions: Some(proto::Conditions { recipients: vec![one], ..Default::default() }),
        properties: Some(properties),
        ..Default::default()
    };
    let answer: proto::QueueUpdateResponse = control.ask(Command::QueueUpdate, &request).expect("it is done");
    assert_eq!(answer.affected, 1);
    let job = proto::Conditions { jobids: vec![text("x")], ..Default::default() };
    assert_eq!(update(&mut control, job, Action::Hold(proto::QueueHold {})), 1);

    let all = proto::Conditions::default();
    let sorted = |mut rows: Vec<proto::QueueItem>| {
        rows.sort_by(|one, other| one.recipient.cmp(&other.recipient));
        // Where the last attempt went from is not kept.
        rows.iter_mut().for_each(|row| {
            (row.localip, row.remoteip, row.remotemx, row.grouping) = Default::default();
            if let Some(last) = &mut row.last {
                (last.localip, last.ts) = (String::new(), last.ts.floor());
            }
        });
        rows
    };
    let before = sorted(rows(&mut control, &all));
    let states: Vec<_> = before.iter().map(|row| (row.recipient.as_str(), row.state(), row.retry)).collect();
    let expected = [
        ("d@c.example", QueueState::Defer, 1),
        ("held-a@a.example", QueueState::Hold, 7),
        ("held-b@a.example", QueueState::Hold, 0),
        ("job-c@b.example", QueueState::Hold, 1),
    ];
    assert_eq!(states, expected);
    assert_eq!((before[1].jobid.as_str(), before[1].tenantid.as_str()), ("moved", "t"));
    assert_eq!((before[1].metadata["qid"].as_str(), before[1].metadata.len()), ("month", 2));
    assert_eq!(before[3].last.as_ref().expect("it was tried").code, 451);

    let server = server.kill().start();
    let mut control = server.control();
    let after = sorted(wait_for_rows(&mut control, &all, 4));
    assert_eq!(after, before);
    let (builder, status) = server.stop();
    assert!(status.success());
    let server = builder.start();
    let mut control = server.control();
    assert_eq!(sorted(wait_for_rows(&mut control, &all, 4)), before);
    let used: proto::QueueQuotaResponse = control.ask(Command::QueueQuota, &quota).expect("an answer");
    assert_eq!(used.quotas[0].count, 2);
}

#[test]
fn what_is_being_sent_is_left_alone() {
    // OPS17, with --hold
    let sink = Sink::start();
    sink.pause(Duration::from_millis(800));
    let server = Smtpd::relay_to(sink.port()).start();
    send(server.port(), &["a@a.example"]);
    let mut control = server.control();
    let sending = wait_for_rows(&mut control, &in_states(&[QueueState::Sending]), 1);
    assert_eq!(sending[0].remoteip, "127.0.0.1");
    assert_eq!(update(&mut control, proto::Conditions::default(), Action::Hold(proto::QueueHold {})), 0);
    sink.wait_for(1);
    wait_for_rows(&mut control, &proto::Conditions::default(), 0);
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    // OPS77
    let server = scripted(1).start();
    send(server.port(), &["held-a@a.example", "held-b@a.example"]);
    let request = proto::QueueUpdateRequest {
        action: Some(Action::Active(proto::QueueActive { delay: None })),
        dryrun: true,
        ..Default::default()
    };
    let mut control = server.control();
    let answer: proto::QueueUpdateResponse =
        control.ask(Command::QueueUpdate, &request).expect("it is counted");
    assert_eq!(answer.affected, 2);
    assert_eq!(rows(&mut control, &in_states(&[QueueState::Hold])).len(), 2);
    let nothing: Result<proto::QueueUpdateResponse, _> =
        control.ask(Command::QueueUpdate, &proto::QueueUpdateRequest::default());
    assert!(nothing.expect_err("there is nothing to do").starts_with("nothing to do"));
}

/// Item 8 of issue 6: a restart with much in the queue takes mail at once.
#[test]
fn a_restart_with_much_in_the_queue_takes_mail_at_once() {
    let queued = std::env::var("SHOW_QUEUED").ok().and_then(|text| text.parse().ok());
    let messages = queued.unwrap_or(10_000_usize) / 100;
    let server = scripted(1).start();
    let to: Vec<String> = (0..100).map(|number| format!("held-{number}@a.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut client = Client::connect(server.port());
    for _ in 0..messages {
        client.send("news@sender.example", &to, BODY);
    }
    drop(client);
    let builder = server.kill();
    let begun = Instant::now();
    let server = builder.start();
    send(server.port(), &["held-new@a.example"]);
    let taken = begun.elapsed();
    let mut control = server.control();
    wait_for_rows(&mut control, &to_recipient("held-new"), 1);
    println!("{} queued: mail is taken {taken:?} after the start", messages * 100);
    assert!(taken < Duration::from_secs(15), "{taken:?}");
}

fn to_recipient(local_part: &str) -> proto::Conditions {
    let one = proto::AddressMatch { localpart: Some(text(local_part)), ..Default::default() };
    proto::Conditions { recipients: vec![one], ..Default::default() }
}

#[test]
fn what_is_bounced_is_reported_and_what_is_deleted_is_not() {
    // OPS13, OPS16
    let sink = Sink::start();
    let server = scripted(sink.port()).start();
    send(server.port(), &["held-a@a.example", "held-b@a.example", "held-c@a.example"]);
    let mut control = server.control();
    let week = proto::MetadataMatch { key: "qid".into(), value: Some(text("week")), ..Default::default() };
    let young = proto::NumberMatch { max: Some(60.0), ..Default::default() };
    let doomed = proto::Conditions {
        metadata: vec![week],
        ages: vec![young],
        recipients: to_recipient("held-a").recipients,
        ..in_states(&[QueueState::Hold])
    };
    assert_eq!(update(&mut control, doomed, Action::Delete(proto::QueueDelete {})), 1);
    let reason = Some("the campaign was called off".to_owned());
    assert_eq!(
        update(&mut control, to_recipient("held-b"), Action::Bounce(proto::QueueBounce { reason })),
        1
    );
    let reports = sink.wait_for(1);
    let report = String::from_utf8_lossy(&reports[0].data).into_owned();
    assert_eq!(reports[0].to, ["news@sender.example"]);
    assert!(
        report.contains("held-b@a.example") && report.contains("the campaign was called off"),
        "{report}"
    );
    assert!(!report.contains("held-a@a.example"), "{report}");
    let left = wait_for_rows(&mut control, &proto::Conditions::default(), 1);
    assert_eq!(recipients(&left), ["held-c@a.example"]);
    // Neither comes back.
    let (builder, status) = server.stop();
    assert!(status.success());
    let server = builder.start();
    let left = wait_for_rows(&mut server.control(), &proto::Conditions::default(), 1);
    assert_eq!(recipients(&left), ["held-c@a.example"]);
}

/// The answer had come before anything was on disk: a crash in that moment brought the deleted mail back, and sent it.
#[test]
fn what_a_command_has_removed_stays_so_though_the_server_is_killed_at_the_answer() {
    let sink = busy_sink();
    let mut server = scripted(sink.port()).start();
    for round in 0..3 {
        let to: Vec<String> = (0..20).map(|number| format!("held-{round}-{number}@a.example")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        send(server.port(), &to);
        send(server.port(), &["held-told@b.example"]);
        let mut control = server.control();
        let all = |domain: &str| proto::Conditions {
            recipients: to_domains(&[domain]),
            ..in_states(&[QueueState::Hold])
        };
        assert_eq!(update(&mut control, all("a.example"), Action::Delete(proto::QueueDelete {})), 20);
        let bounce = Action::Bounce(proto::QueueBounce { reason: None });
        assert_eq!(update(&mut control, all("b.example"), bounce), 1);
        server = server.kill().start();
        // The reports of all rounds, and nothing else.
        let left = wait_for_rows(&mut server.control(), &proto::Conditions::default(), round + 1);
        assert!(left.iter().all(|row| row.recipient == "news@sender.example"), "{left:?}");
    }
}
