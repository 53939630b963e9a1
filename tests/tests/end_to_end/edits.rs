//! Messages that scripts change, as the next hop gets them.

use std::fmt::Write as _;

use tests::{Behaviour, Client, Peer, Sink, Smtpd};

/// A server whose `eod` script is this one.
fn server(port: u16, script: &str) -> Smtpd {
    let mut running = "scripting:\n  hooks:\n    eod:\n      - id: x\n        data: |\n".to_owned();
    for line in script.lines() {
        writeln!(running, "          {line}").expect("a string takes all");
    }
    Smtpd::relay_to(port).running(&running).server("phases: {eod: {hook: x}}").start()
}

const ORIGINAL: &[u8] = b"Subject: old\r\nX-Gone: 1\r\nX-Old: 2\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\none\r\n\
    --b\r\nContent-Type: image/x\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n\
    --b\r\nContent-Type: text/html\r\n\r\n<p>two\r\n\
    --b\r\nContent-Type: text/x\r\n\r\n.a line, and RAW bytes\r\n\
    --b--\r\nepilogue\r\n";

/// What stands above and below the Received field.
const ABOVE: &[u8] = b"X-Added: =?UTF-8?Q?h=C3=A9?=\r\n";
const BELOW: &[u8] = b"Subject: new\r\nX-New: 2\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\nbefore\r\nthem\r\n\
    --b\r\nContent-Type: text/csv; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na,b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\nnew\r\n..lines\r\n\r\n\
    --b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>h=C3=A9 and more of it\r\n\r\n\
    --b\r\nContent-Type: text/x\r\n\r\n.a line, and other\r\nbytes\r\n\
    --b\r\nContent-Type: application/x\r\nContent-Disposition: attachment; filename=l.bin\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nthe last part=0A\r\n\
    --b--\r\nafter\r\n";

/// Every kind of change in one message, given with LF at line ends where it is text; the second recipient gets it as it came.
#[test]
fn parts_are_added_replaced_and_removed_byte_for_byte() {
    let script = r#"$mail = $arguments["mail"];
$before = $mail->snapshot();
$mail->setHeader("Subject", "new");
$mail->addHeader("X-Added", "hé");
$mail->delHeader("X-Gone");
$mail->renameHeader("X-Old", "X-New");
$parts = $mail->getParts();
$parts[0]->setBody("new\n..lines\n");
foreach ($mail->findByFileName(''\.exe$'') as $part)
    $part->remove();
$parts[2]->replacePart(MIME()->setType("text/html")->setBody("<p>hé and more of it\n"));
$mail->prependPart(MIME()->setType("text/csv")->setBody("a,b\n"));
$mail->appendPart(MIME()->setType("application/x")->setFileName("l.bin")->setBody("the last part\n"));
$mail->setPreamble("before\nthem");
$mail->setEpilogue("after\n");
$mail->modifyContent($mail->getSize() - ORIGINAL_BYTES + RAW_AT, 3, "other\r\n");
$mail->modifyContent($mail->getSize() - ORIGINAL_BYTES + RAW_AT + 3, 1, "");
$mail->queue("a@x.example", "changed@z.example", "out");
$mail->restore($before);
$mail->queue("a@x.example", "whole@z.example", "out");
Accept();
"#;
    let raw_at = ORIGINAL.windows(3).position(|bytes| bytes == b"RAW").expect("it has them");
    let script =
        script.replace("ORIGINAL_BYTES", &ORIGINAL.len().to_string()).replace("RAW_AT", &raw_at.to_string());
    let sink = Sink::start();
    let server = server(sink.port(), &script);
    Client::connect(server.port()).send("a@x.example", &["b@z.example"], ORIGINAL);
    let mut got = sink.wait_for(2);
    got.sort_by(|a, b| a.to.cmp(&b.to));
    let (changed, whole) = (&got[0], &got[1]);
    assert_eq!(
        (&changed.to[..], &whole.to[..]),
        (&["changed@z.example".into()][..], &["whole@z.example".into()][..])
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let received = whole.data.strip_suffix(ORIGINAL).unwrap_or_else(|| panic!("{}", text(&whole.data)));
    assert!(received.starts_with(b"Received: "));
    assert_eq!(text(&changed.data), text(&[ABOVE, received, BELOW].concat()));
}

/// What MAIL said was what the message as it came needed, not what the script had made of it.
#[test]
fn mail_says_what_the_message_of_a_script_needs() {
    let cases = [
        ("", ""),
        (r#"$mail->addHeader("X-U", "é");"#, ""),
        (r#"$mail->addHeader("X-U", "é", ["encode" => false]);"#, " BODY=8BITMIME SMTPUTF8"),
        (
            r#"$mail->appendPart(MailMessage::String("Content-Transfer-Encoding: 8bit\r\n\r\né\r\n"));"#,
            " BODY=8BITMIME",
        ),
        (r#"$mail->setHeader("Message-ID", "<é@b.example>");"#, " BODY=8BITMIME SMTPUTF8"),
    ];
    let made = r#"MIME()->addHeader("Subject", "é", ["encode" => false])->setBody("x")"#;
    let peer = Peer::start(Behaviour::new().extension("SMTPUTF8"));
    let mut script = "$mail = $arguments[\"mail\"];\n".to_owned();
    for (number, (change, _)) in cases.iter().enumerate() {
        let queue = format!(r#"$mail->queue("a@x.example", "{number}@z.example", "out");"#);
        writeln!(script, "{change}\n{queue}\n$mail->reset();").expect("a string takes all");
    }
    writeln!(script, r#"{made}->queue("a@x.example", "queued@z.example", "out");"#).expect("so it does");
    let to = format!(r#"["host" => "127.0.0.1", "port" => {}]"#, peer.port());
    writeln!(script, r#"{made}->send("a@x.example", ["sent@z.example"], {to});"#).expect("so it does");
    script.push_str("Accept();\n");
    let server = server(peer.port(), &script);
    Client::connect(server.port()).send("a@x.example", &["b@z.example"], b"Subject: ascii\r\n\r\nbody\r\n");
    let got = peer.wait_for(cases.len() + 2);
    let said = |to: &str| {
        let message = got.iter().find(|message| message.to[0] == format!("{to}@z.example"));
        let said = &message.unwrap_or_else(|| panic!("nothing for {to}")).mail_parameters;
        let words = said.split_whitespace().filter(|word| !word.starts_with("SIZE="));
        words.map(|word| format!(" {word}")).collect::<String>()
    };
    for (number, (change, expected)) in cases.iter().enumerate() {
        assert_eq!(said(&number.to_string()), *expected, "{change}");
    }
    for to in ["queued", "sent"] {
        assert_eq!(said(to), " BODY=8BITMIME SMTPUTF8", "{to}");
    }
}

/// It went to peers that cannot take it as if it were ASCII.
#[test]
fn what_a_script_puts_in_fails_at_a_peer_that_cannot_take_it() {
    let script = r#"$mail = $arguments["mail"];
$mail->addHeader("X-U", "é", ["encode" => false]);
$mail->queue("a@x.example", "b@z.example", "out");
$sent = MIME()->addHeader("Subject", "é", ["encode" => false])->send("a@x.example", ["c@z.example"],
    ["host" => "127.0.0.1", "port" => PORT]);
echo "sent " . json_encode($sent["error"]["temporary"]);
Accept();
"#;
    let peer = Peer::start(Behaviour::new());
    let server = server(peer.port(), &script.replace("PORT", &peer.port().to_string()));
    Client::connect(server.port()).send("a@x.example", &["b@z.example"], b"Subject: ascii\r\n\r\nbody\r\n");
    server.wait_for_log("Peer does not take non-ASCII");
    server.wait_for_log("sent false");
    // But for the report.
    assert!(peer.messages().iter().all(|message| message.from.is_empty()), "{:?}", peer.messages());
}
