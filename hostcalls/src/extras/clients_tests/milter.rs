//! `Milter` against a filter of our own.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::run;

/// Command and data.
type Packet = (u8, Vec<u8>);

/// A filter that wants these steps skipped, and answers the command at the end of the body, or the one named, with these
/// packets. The others it lets pass.
fn filter(skips: u32, at: u8, answers: &'static [(u8, &'static [u8])]) -> (u16, JoinHandle<Vec<Packet>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        loop {
            let mut length = [0; 4];
            if stream.read_exact(&mut length).is_err() {
                return heard;
            }
            let mut packet = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut packet).unwrap();
            let command = packet.remove(0);
            heard.push((command, packet));
            let mut put = |command: u8, data: &[u8]| {
                let length = u32::try_from(data.len() + 1).unwrap().to_be_bytes();
                // The other side may have heard enough.
                let _ = stream.write_all(&[&length[..], &[command], data].concat());
            };
            match command {
                b'O' => put(b'O', &[6, 0x33, skips].map(u32::to_be_bytes).concat()),
                b'D' => {}
                b'L' if skips & 0x80 != 0 => {}
                b'Q' => return heard,
                _ if command == at => answers.iter().for_each(|(command, data)| put(*command, data)),
                _ => put(b'c', b""),
            }
        }
    };
    (port, std::thread::spawn(serve))
}

/// What became of a message, and what the filter heard.
fn filtered(
    skips: u32,
    at: u8,
    answers: &'static [(u8, &'static [u8])],
    then: &str,
) -> (String, Vec<Packet>) {
    let (port, filter) = filter(skips, at, answers);
    let source = format!(
        r#"import {{ Milter }} from "extras://milter";
           $mail = MailMessage::String("Subject:  old\r\nReceived: a\r\n b\r\nX-Drop: 1\r\n\r\nbody\r\n");
           $milter = Milter(["host" => "127.0.0.1", "port" => {port}], "192.0.2.1", 4711, "client.example", "helo.example",
               "a@b", ["c@d", "e@f"], "id-1", $mail);
           return {then};"#
    );
    let found = run(&source);
    (found, filter.join().unwrap())
}

#[test]
fn a_filter_hears_the_message_and_changes_it() {
    let answers: &[(u8, &[u8])] = &[
        (b'p', b""),
        (b'h', b"X-Added\0one\n two\0"),
        (b'm', b"\0\0\0\x01Subject\0new\0"),
        (b'm', b"\0\0\0\x01X-Drop\0\0"),
        (b'h', b"Bad Name\0x\0"),
        (b'b', b"other "),
        (b'b', b"body\n"),
        (b'c', b""),
    ];
    let then = r#"[$milter->getAction(), $milter->getHeaderValue("x-added"), $milter->getHeaderValue("none") === none, $mail->toString()]"#;
    let (found, heard) = filtered(0, b'E', answers, then);
    assert!(found.starts_with("[0=>\"none\",1=>\"one\r\n two\",2=>true,"), "{found}");
    for part in ["X-Added: one\r\n two\r\n", "Subject: new\r\n", "\r\n\r\nother body\r\n"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert!(!found.contains("X-Drop") && !found.contains("Bad Name"), "{found}");
    let commands: String = heard.iter().map(|(command, _)| char::from(*command)).collect();
    assert_eq!(commands, "ODCHDMDRDRDTLLLDNBDEQ");
    let of = |command: u8| -> Vec<String> {
        let of = heard.iter().filter(|(other, _)| *other == command);
        of.map(|(_, data)| String::from_utf8_lossy(data).into_owned()).collect()
    };
    assert_eq!(of(b'M'), ["<a@b>\0"]);
    assert_eq!(of(b'R'), ["<c@d>\0", "<e@f>\0"]);
    assert_eq!(of(b'L'), ["Subject\0 old\0", "Received\0a\n b\0", "X-Drop\x001\0"]);
    assert_eq!(of(b'B'), ["body\r\n"]);
    let connect = heard.iter().find(|(command, _)| *command == b'C').unwrap();
    assert_eq!(connect.1, b"client.example\x004\x12\x67192.0.2.1\0");
}

#[test]
fn a_filter_decides() {
    let action = "[$milter->getAction(), $milter->getReply()]";
    let refused: &[(u8, &[u8])] = &[(b'y', b"554 5.7.0 No virus, please\0")];
    assert_eq!(
        filtered(0, b'E', refused, action).0,
        r#"[0=>"setreply",1=>["reason"=>"No virus, please","reply_codes"=>["code"=>554,"enhanced"=>[0=>5,1=>7,2=>0]]]]"#
    );
    for (answer, expected) in [(b'd', "discard"), (b'r', "reject"), (b't', "tempfail"), (b'a', "none")] {
        let answers: &'static [(u8, &'static [u8])] = match answer {
            b'd' => &[(b'd', b"")],
            b'r' => &[(b'r', b"")],
            b't' => &[(b't', b"")],
            _ => &[(b'a', b"")],
        };
        // In the middle as well as at the end; with no answers wanted to headers, and no body.
        for (skips, at) in [(0, b'E'), (0, b'M'), (0x80 | 0x10, b'E')] {
            let (found, heard) = filtered(skips, at, answers, "$milter->getAction()");
            assert_eq!(found, expected);
            assert_eq!(heard.last().unwrap().0, b'Q');
        }
    }
    let held: &[(u8, &[u8])] = &[(b'q', b"why\0"), (b'c', b"")];
    assert_eq!(filtered(0, b'E', held, "$milter->getAction()").0, "quarantine");
}

#[test]
fn a_filter_that_breaks_off_decides_nothing() {
    for answers in [&[(b'Z', &b""[..])][..], &[(b'O', b"")], &[]] {
        let answers: &'static [(u8, &'static [u8])] = answers.to_vec().leak();
        let (found, _) = filtered(0, b'H', answers, "$milter->getAction()");
        assert_eq!(found, "none");
    }
    let nobody = r#"import { Milter } from "extras://milter";
        $m = Milter(["host" => "127.0.0.1", "port" => 1], "", 0, "", "", "", [], "", MailMessage::String("\r\n"));
        return $m->getAction();"#;
    assert_eq!(run(nobody), "none");
}
