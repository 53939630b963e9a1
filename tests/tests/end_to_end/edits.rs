//! Messages that scripts change, as the next hop gets them.

use std::fmt::Write as _;

use tests::{Client, Sink, Smtpd};

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
