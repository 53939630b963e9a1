//! What transcripts cannot show.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::smtp::address::Hostname;
use crate::smtp::error::{Error, LocalLimit, PeerMisbehaved, Storage};
use crate::smtp::reply::{EnhancedCode, Reply};
use crate::smtp::{Clock, HeaderScan};

fn config() -> Config {
    Config::new(Hostname::parse(b"mx.example.com").expect("valid"))
}

/// A session that has said its greeting.
fn greeted(config: Config) -> Session {
    let mut session = Session::new(Arc::new(config));
    assert!(matches!(session.step(&mut &b""[..]), Step::Event(Event::Connect)));
    session.accept();
    session.take_output();
    session
}

/// Feeds `input` and accepts everything up to the end of it, except the last event, which is returned.
fn feed<'i>(session: &mut Session, mut input: &'i [u8]) -> Step<'i> {
    loop {
        match session.step(&mut input) {
            Step::Event(_) if !input.is_empty() => session.accept(),
            Step::Body(_) if !input.is_empty() => {}
            step => return step,
        }
    }
}

const ENVELOPE: &[u8] = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";

/// A session that has been sent `ENVELOPE` and answered 354.
fn in_data(config: Config) -> Session {
    let mut session = greeted(config);
    assert!(matches!(feed(&mut session, ENVELOPE), Step::Event(Event::Data)));
    session.accept();
    session.take_output();
    session
}

#[test]
fn an_idle_session_is_small_and_has_no_heap() {
    assert!(size_of::<Session>() <= 256, "{}", size_of::<Session>());
    let mut session = greeted(config());
    assert!(matches!(feed(&mut session, b"EHLO x\r\n"), Step::Event(_)));
    session.accept();
    session.take_output();
    assert!(matches!(feed(&mut session, b"NOOP\r\nNO"), Step::NeedInput));
    assert!(matches!(feed(&mut session, b"OP\r\n"), Step::NeedInput));
    session.take_output();
    assert!(session.has_no_heap());
}

#[test]
fn a_refused_connection_closes() {
    let mut session = Session::new(Arc::new(config()));
    session.step(&mut &b""[..]);
    session.reply(&Reply::new(521, None, "mx.example.com does not accept mail from you"));
    assert!(matches!(session.step(&mut &b"EHLO x\r\n"[..]), Step::Close(Close::HungUp)));
    assert_eq!(&session.take_output()[..], b"521 mx.example.com does not accept mail from you\r\n");

    let mut session = Session::new(Arc::new(config()));
    session.step(&mut &b""[..]);
    session.abort(LocalLimit::TooManyConnections.into());
    let failed = Error::LocalLimit(LocalLimit::TooManyConnections);
    assert!(matches!(session.step(&mut &b""[..]), Step::Close(Close::Failed(error)) if error == failed));
    assert_eq!(&session.take_output()[..], b"421 Too many connections\r\n");
}

#[test]
fn a_reply_of_the_caller_decides_by_its_class() {
    let mut session = greeted(config());
    assert!(matches!(feed(&mut session, b"EHLO x\r\nMAIL FROM:<>\r\n"), Step::Event(Event::Mail(_))));
    let enhanced = EnhancedCode { class: 4, subject: 7, detail: 1 };
    session.reply(&Reply::new(421, Some(enhanced), "later"));
    assert!(!session.in_transaction());
    assert!(matches!(session.step(&mut &b""[..]), Step::NeedInput), "421 alone does not close");
    assert!(session.take_output().ends_with(b"421 4.7.1 later\r\n"));
    assert!(matches!(feed(&mut session, b"MAIL FROM:<>\r\n"), Step::Event(Event::Mail(_))));
    session.reply(&Reply::new(250, None, "fine"));
    assert!(session.in_transaction());
    session.hang_up();
    assert_eq!(&session.take_output()[..], b"250 fine\r\n");
    assert!(matches!(session.step(&mut &b""[..]), Step::Close(Close::HungUp)));
}

#[test]
fn data_may_be_refused_and_tried_again() {
    let mut session = greeted(config());
    assert!(matches!(feed(&mut session, ENVELOPE), Step::Event(Event::Data)));
    session.refuse(Error::Storage(Storage::Full));
    assert!(session.take_output().ends_with(b"452 4.3.1 Insufficient system storage\r\n"));
    assert!(matches!(feed(&mut session, b"DATA\r\n"), Step::Event(Event::Data)));
}

#[test]
fn a_message_the_caller_refuses_midway_is_read_to_its_end() {
    let mut session = in_data(config());
    assert!(matches!(feed(&mut session, b"some text\r\n"), Step::Body(_)));
    session.refuse_message(Error::Storage(Storage::Failed));
    assert!(matches!(feed(&mut session, b"bare\nlf\r\n.\r\nMAIL FROM:<>\r\n"), Step::Event(Event::Mail(_))));
    assert_eq!(&session.take_output()[..], b"451 4.3.0 Message could not be stored\r\n");
}

#[test]
fn a_refused_message_that_goes_on_too_long_closes_the_session() {
    let mut session = in_data(config());
    session.refuse_message(Error::Storage(Storage::Full));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..crate::limits::DISCARD_BYTES_MAX >> 20 {
        assert!(matches!(feed(&mut session, &piece), Step::NeedInput));
    }
    let failed = Error::PeerMisbehaved(PeerMisbehaved::EndlessMessage);
    assert!(matches!(feed(&mut session, &piece), Step::Close(Close::Failed(error)) if error == failed));
}

#[test]
fn the_summary_tells_what_passed() {
    let mut session = in_data(config());
    let text = b"Received: a\r\nSubject: b\r\n\r\n..caf\xe9\r\n.\r\n";
    let Step::Event(Event::EndOfData(summary)) = feed(&mut session, text) else { panic!("expected the end") };
    assert_eq!(summary, Summary { size_bytes: 34, header_bytes: 27, received: 1, eight_bit: true });
    session.accept_message("id\r\nwith line ends");
    assert_eq!(&session.take_output()[..], b"250 2.0.0 Ok: queued as id??with line ends\r\n");
}

#[test]
fn pipelined_replies_leave_in_one_piece() {
    let mut session = greeted(config());
    assert!(matches!(feed(&mut session, ENVELOPE), Step::Event(Event::Data)));
    session.accept();
    let output = session.take_output();
    assert!(output.ends_with(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"));
    assert!(session.take_output().is_empty());
}

#[test]
fn a_command_must_be_whole_in_time_however_it_trickles() {
    let mut session = greeted(config());
    let before = session.patience();
    assert_eq!((before.idle, before.total), (Duration::from_secs(600), Duration::from_secs(600)));
    for byte in b"NOOP\r" {
        assert!(matches!(feed(&mut session, &[*byte]), Step::NeedInput));
        assert_eq!(session.patience(), before, "part of a command wins no time");
    }
    assert!(matches!(feed(&mut session, b"\n"), Step::NeedInput));
    assert_ne!(session.patience().mark, before.mark, "a whole one does");
    session.take_output();
    session.timed_out(Clock::Total);
    assert_eq!(&session.take_output()[..], b"421 Timeout, closing connection\r\n");
    assert!(matches!(session.step(&mut &b""[..]), Step::Close(_)));
}

#[test]
fn a_message_may_take_longer_the_more_of_it_has_come() {
    let mut session = in_data(config());
    let before = session.patience();
    assert_eq!(before.total, Duration::from_secs(600));
    assert!(matches!(feed(&mut session, &[b'x'; 5120]), Step::Body(_)));
    let after = session.patience();
    assert_eq!((after.total, after.mark), (Duration::from_secs(610), before.mark));
}

#[test]
#[should_panic(expected = "Connect is unanswered")]
fn an_event_must_be_answered() {
    let mut session = Session::new(Arc::new(config()));
    session.step(&mut &b""[..]);
    session.step(&mut &b""[..]);
}

#[test]
fn the_header_scan_adds_little_to_a_session() {
    assert!(size_of::<HeaderScan>() <= 24);
}

/// A session that has accepted STARTTLS from the last command of `input`.
fn in_handshake(input: &[u8]) -> Session {
    let mut config = config();
    config.extensions.starttls = true;
    config.extensions.require_tls = true;
    config.tls_required = true;
    let mut session = greeted(config);
    assert!(matches!(feed(&mut session, input), Step::Event(Event::StartTls)));
    session.accept();
    session
}

#[test]
fn plaintext_behind_starttls_is_dropped_and_the_hello_before_it_forgotten() {
    let mut session = in_handshake(b"EHLO x\r\nSTARTTLS\r\n");
    assert!(session.take_output().ends_with(b"220 2.0.0 Ready to start TLS\r\n"));
    let mut injected = &b"EHLO evil\r\nMAIL FROM:<a@b.example>\r\nRC"[..];
    assert!(matches!(session.step(&mut injected), Step::Handshake));
    assert!(injected.is_empty() && session.take_output().is_empty());
    session.tls_started();
    assert_eq!(session.verb(), None);
    assert!(matches!(
        feed(&mut session, b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<> REQUIRETLS\r\n"),
        Step::Event(_)
    ));
    let output = session.take_output();
    let text = std::str::from_utf8(&output).expect("ASCII");
    assert!(text.contains("REQUIRETLS") && !text.contains("STARTTLS"), "{text}");
    assert!(text.ends_with("502 5.5.1 Command not implemented\r\n"), "{text}");
}

#[test]
fn starttls_may_be_refused_and_the_session_goes_on() {
    let mut config = config();
    config.extensions.starttls = true;
    let mut session = greeted(config);
    assert!(matches!(feed(&mut session, b"EHLO x\r\nSTARTTLS\r\n"), Step::Event(Event::StartTls)));
    let enhanced = EnhancedCode { class: 4, subject: 7, detail: 0 };
    session.reply(&Reply::new(454, Some(enhanced), "TLS not available"));
    assert!(matches!(feed(&mut session, b"MAIL FROM:<>\r\n"), Step::Event(Event::Mail(_))));
}

#[test]
fn tls_before_smtp_counts_as_tls() {
    let mut config = config();
    config.extensions.starttls = true;
    config.tls_required = true;
    let mut session = Session::new(Arc::new(config));
    session.tls_started();
    session.step(&mut &b""[..]);
    session.accept();
    session.take_output();
    assert!(matches!(feed(&mut session, b"EHLO x\r\nMAIL FROM:<>\r\n"), Step::Event(Event::Mail(_))));
}
