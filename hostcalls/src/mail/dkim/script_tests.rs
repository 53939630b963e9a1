//! Signatures and SPF as scripts use them: compiled, run on an engine, with a name server on the loopback.
#![allow(clippy::disallowed_methods, reason = "the name server of a test is no part of the engine")]

use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use script::compile::{CompileOptions, NoLoader, SourceText, compile};
use script::machine::{Context, Limits, Loaded};

use crate::crypto::Pki;
use crate::on_engine::{on_a_shard, text};
use crate::runner::Outcome;
use crate::{Environment, Execution, Settings, library};

const TXT: u16 = 16;

/// The text records that the name server has.
fn record(name: &str) -> Option<&'static str> {
    let keys = include_str!("../../../../mail/src/dkim/testdata/keys.txt").lines();
    let mut all = keys.filter_map(|line| line.split_once(' ')).chain([
        ("spf.test", "v=spf1 include:other.test -all exp=why.test"),
        ("other.test", "v=spf1 ip4:192.0.2.0/24"),
        ("why.test", "%{i} may not"),
    ]);
    all.find(|(known, _)| *known == name).map(|(_, record)| record)
}

/// The response to a query: the record, or that there is no such name.
fn respond(query: &[u8]) -> Vec<u8> {
    let (mut at, mut name) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let record = record(&name.join(".")).filter(|_| kind == TXT);
    let mut out = query[..2].to_vec();
    out.extend_from_slice(&if record.is_some() { [0x81, 0x80] } else { [0x81, 0x83] });
    out.extend_from_slice(&[0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]);
    out.extend_from_slice(&query[12..at + 5]);
    if let Some(record) = record {
        let data: Vec<u8> = record
            .as_bytes()
            .chunks(255)
            .flat_map(|chunk| std::iter::once(chunk.len() as u8).chain(chunk.iter().copied()))
            .collect();
        out.extend_from_slice(&[0xc0, 12, 0, TXT as u8, 0, 1, 0, 0, 1, 0x2c]);
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.extend_from_slice(&data);
    }
    out
}

fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut query) {
            socket.send_to(&respond(&query[..length]), peer).unwrap();
        }
    });
    address
}

pub(crate) async fn result(environment: &Rc<Environment>, source: &str) -> String {
    let main = SourceText { name: "test".into(), bytes: source.as_bytes().to_vec() };
    let compiled = match compile(main, &mut NoLoader, &library(), &CompileOptions::default()) {
        Ok(compiled) => compiled,
        Err(why) => panic!("{source}: {:?}", why.all),
    };
    let mut context = Context::new(&Loaded::new(&compiled.program), Limits::default());
    match crate::run(&mut context, &Execution::begin(environment)).await {
        Outcome::Done(value) => text(&value),
        other => panic!("{source}: {other:?}"),
    }
}

pub(crate) fn settings() -> Settings {
    let mut pki = Pki::default();
    let key = include_bytes!("../../../../mail/src/keys/testdata/rsa2048.pkcs8.pem");
    pki.add_private("signing", Some(key), None).unwrap();
    Settings { resolvers: vec![name_server()], pki: Arc::new(pki), ..Settings::default() }
}

#[test]
fn scripts_sign_and_verify() {
    const SIGNED: &str = r#"$mail = MailMessage::String("From: joe@example.org\r\nSubject: x\r\n\r\nHi.\r\n");
        $mail->signDKIM("rsa2048", "example.org", "signing", ["timestamp" => true]);
        $mail = MailMessage::String($mail->toString());
        $field = $mail->getHeader("DKIM-Signature", ["field" => true]);"#;
    let cases = [
        // The DNS has the key.
        (r#"return $mail->verifyDKIM($field)["result"];"#, "pass"),
        (r#"return $mail->verifyDKIM($field)["tags"]["d"];"#, "example.org"),
        // A function of the script has it, by reference to a variable of its surroundings.
        (
            r#"$record = dns_query("rsa2048._domainkey.example.org", ["type" => "txt"])["result"][0];
               $asked = "";
               $lookup = function ($name) closure ($record, $asked) { $asked = $name; return ["result" => $record]; };
               return [$mail->verifyDKIM($field, ["dns_function" => $lookup])["result"], $asked];"#,
            r#"[0=>"pass",1=>"rsa2048._domainkey.example.org"]"#,
        ),
        (
            r#"return $mail->verifyDKIM($field, ["dns_function" => function ($name) { return ["error" => "temperror"]; }])["result"];"#,
            "temperror",
        ),
        // What the function throws arrives where the method was called.
        (
            r#"try { $mail->verifyDKIM($field, ["dns_function" => function ($name) { throw "x"; }]); }
               catch ($e) { return "caught $e"; }"#,
            "caught x",
        ),
        (r#"$mail->setHeader("Subject", "y"); return $mail->verifyDKIM($field)["result"];"#, "pass"),
        (
            r#"$mail->setHeader("Subject", "y"); return MailMessage::String($mail->toString())->verifyDKIM($field)["error"];"#,
            "signature did not verify",
        ),
        // Chaining; a bad key gives none and the script goes on.
        (r#"return $mail->signDKIM("a", "b.test", "no such key") === none ? "none" : "?";"#, "none"),
        (
            r#"return MailMessage::String($mail->signDKIM("rsa2048", "example.org", "pki:signing", ["id" => true])->toString())
                   ->getHeaders("DKIM-Signature") == [] ? "?" : "twice";"#,
            "twice",
        ),
        (
            r#"$mime = MIME()->addHeader("From", "joe@example.org")->setBody("Hi.")
                   ->signDKIM("rsa2048", "example.org", "signing")->toString();
               $mail = MailMessage::String($mime);
               return $mail->verifyDKIM($mail->getHeader("DKIM-Signature", ["field" => true]))["result"];"#,
            "pass",
        ),
    ];
    on_a_shard(settings(), move |environment| async move {
        for (source, expected) in cases {
            assert_eq!(result(&environment, &format!("{SIGNED} {source}")).await, expected, "{source}");
        }
    });
}

#[test]
fn scripts_sign_with_keys_and_ask_for_spf() {
    let cases = [
        (
            r#"return rsa_sign("m", "signing", ["id" => true]) != none
                   and rsa_verify("m", rsa_sign("m", "signing", ["id" => true]), "signing", ["id" => true]);"#,
            "true",
        ),
        (r#"return rsa_sign("m", "other", ["id" => true]) === none;"#, "true"),
        (
            r#"$k = pack("H*", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
               return length(ed25519_sign("", $k));"#,
            "64",
        ),
        (r#"return spf_query("192.0.2.1", "helo.test", "joe@spf.test")["result"];"#, "pass"),
        (
            r#"return spf_query("198.51.100.1", "helo.test", "joe@spf.test");"#,
            r#"["result"=>"fail","reason"=>"198.51.100.1 may not"]"#,
        ),
        (r#"return spf_query("192.0.2.1", "helo.test", "unknown.test")["result"];"#, "none"),
    ];
    on_a_shard(settings(), move |environment| async move {
        for (source, expected) in cases {
            assert_eq!(result(&environment, source).await, expected, "{source}");
        }
    });
}
