//! The modules that speak to scanners and servers, against peers that follow a script.
#![allow(clippy::disallowed_methods, reason = "the peers of a test are no part of the engine")]

mod milter;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use crate::Settings;
use crate::on_engine::{on_a_shard, result};

/// What a peer does.
enum Step {
    Say(Vec<u8>),
    /// These bytes must come.
    Hear(Vec<u8>),
    /// Everything up to the end must be this.
    HearOut(Vec<u8>),
}

fn say(text: &str) -> Step {
    Step::Say(text.as_bytes().to_vec())
}

fn hear(text: &str) -> Step {
    Step::Hear(text.as_bytes().to_vec())
}

/// Serves one connection, then ends. The port, and what tells whether all came as it should.
fn peer(steps: Vec<Step>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        for step in steps {
            match step {
                Step::Say(bytes) => stream.write_all(&bytes).unwrap(),
                Step::Hear(bytes) => {
                    let mut heard = vec![0; bytes.len()];
                    stream.read_exact(&mut heard).unwrap();
                    assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(&bytes));
                }
                Step::HearOut(bytes) => {
                    let mut heard = Vec::new();
                    stream.read_to_end(&mut heard).unwrap();
                    assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(&bytes));
                }
            }
        }
    };
    (port, std::thread::spawn(serve))
}

/// What a script gives. `PORT` in it is that of the peer.
fn against(steps: Vec<Step>, source: &str) -> String {
    let (port, peer) = peer(steps);
    let found = run(&source.replace("PORT", &port.to_string()));
    peer.join().expect("the peer heard what it expected");
    found
}

pub(super) fn run(source: &str) -> String {
    let (found, source) = (std::sync::Arc::new(std::sync::Mutex::new(String::new())), source.to_owned());
    let shared = std::sync::Arc::clone(&found);
    on_a_shard(Settings::default(), move |environment| {
        let (shared, source) = (std::sync::Arc::clone(&shared), source.clone());
        async move { *shared.lock().unwrap() = result(&environment, &source).await }
    });
    let found = found.lock().unwrap();
    found.clone()
}

fn clamav(answer: &str, options: &str) -> String {
    let first = if options.contains("rfc822") { "" } else { "\0\0\0\x13From extras-clamav\n" };
    against(
        vec![hear(&format!("zINSTREAM\0{first}\0\0\0\x04mail\0\0\0\0")), say(answer)],
        &format!(
            r#"import {{ clamav }} from "extras://clamav";
               return clamav(File::String("mail"), ["address" => "127.0.0.1", "port" => PORT, {options}]);"#
        ),
    )
}

#[test]
fn clamav_tells_of_viruses() {
    assert_eq!(clamav("stream: OK\0", ""), r#"["virus"=>[]]"#);
    assert_eq!(clamav("stream: OK\0", r#""rfc822" => false"#), r#"["virus"=>[]]"#);
    assert_eq!(
        clamav("stream: Eicar-Test-Signature FOUND\0", ""),
        r#"["virus"=>[0=>"Eicar-Test-Signature"]]"#
    );
    assert_eq!(
        clamav("INSTREAM size limit exceeded. ERROR\0", ""),
        r#"["error"=>"INSTREAM size limit exceeded."]"#
    );
    assert_eq!(clamav("nonsense", ""), r#"["error"=>"Unknown answer: nonsense"]"#);
    assert_eq!(clamav("", ""), r#"["error"=>"No answer"]"#);
    let nobody = r#"import { clamav } from "extras://clamav"; return clamav(File::String(""), ["path" => "/nonexistent"]);"#;
    assert_eq!(run(nobody), r#"["error"=>"Could not connect to /nonexistent"]"#);
}

fn spamc(request: &str, answer: &str, options: &str) -> String {
    against(
        vec![Step::HearOut(request.as_bytes().to_vec()), say(answer)],
        &format!(
            r#"import {{ spamc }} from "extras://spamassassin";
               return spamc(File::String("A: b\r\n\r\nmail"), ["port" => PORT, {options}]);"#
        ),
    )
}

#[test]
fn spamassassin_tells_scores_and_symbols() {
    let plain = "SYMBOLS SPAMC/1.5\r\nContent-length: 12\r\n\r\nA: b\r\n\r\nmail";
    let found = "SPAMD/1.1 0 EX_OK\r\nContent-length: 9\r\nSpam: True ; 1000.5 / 5.0\r\n\r\nGTUBE,ONE\r\n";
    assert_eq!(
        spamc(plain, found, ""),
        r#"["spam"=>true,"score"=>1000.5,"threshold"=>5,"symbols"=>[0=>"GTUBE",1=>"ONE"]]"#
    );
    let clean = "SPAMD/1.1 0 EX_OK\r\nSpam: False ; -0.1 / 5.0\r\n\r\n";
    assert_eq!(spamc(plain, clean, ""), r#"["spam"=>false,"score"=>-0.1,"threshold"=>5,"symbols"=>[]]"#);
    let with_sender =
        "SYMBOLS SPAMC/1.5\r\nContent-length: 32\r\nUser: jo\r\n\r\nReturn-Path: <a@b>\r\nA: b\r\n\r\nmail";
    assert_eq!(
        spamc(with_sender, clean, r#""user" => "jo", "sender" => "a@b""#),
        r#"["spam"=>false,"score"=>-0.1,"threshold"=>5,"symbols"=>[]]"#
    );
    let report = "SPAMD/1.1 0 EX_OK\r\nSpam: Yes ; 6 / 5\r\n\r\npts rule name  description\n---- --------- ----\n 5.5 BIG  Text\n                 more\n 0.5 SMALL_1 Text\n\n";
    assert_eq!(
        spamc(&plain.replace("SYMBOLS", "REPORT"), report, r#""report" => true"#),
        r#"["spam"=>true,"score"=>6,"threshold"=>5,"symbols"=>["BIG"=>5.5,"SMALL_1"=>0.5]]"#
    );
    assert_eq!(
        spamc(plain, "SPAMD/1.0 76 Bad header line\r\n\r\n", ""),
        r#"["error"=>"spamd: 76 Bad header line"]"#
    );
    let unasked = |options: &str| {
        run(&format!(
            r#"import {{ spamc }} from "extras://spamassassin"; return spamc(File::String("12345"), [{options}]);"#
        ))
    };
    assert_eq!(unasked(r#""size_limit" => 4"#), r#"["error"=>"Content too large"]"#);
    let forged = unasked(r#""user" => "jo\r\nX: y""#);
    assert_eq!(forged, r#"["error"=>"The user or the sender has a line end in it"]"#);
}

fn dovecot(mechanisms: &str, steps: Vec<Step>, password: &str) -> String {
    let greeting = format!("VERSION\t1\t2\n{mechanisms}SPID\t7\nCUID\t1\nCOOKIE\tc\nDONE\n");
    let mut all = vec![say(&greeting), hear("VERSION\t1\t1\nCPID\t1\n")];
    all.extend(steps);
    against(
        all,
        &format!(
            r#"import {{ dovecot_auth }} from "extras://dovecot";
               return dovecot_auth(["port" => PORT, "rip" => "192.0.2.1\t", "secured" => true], "jo", "{password}");"#
        ),
    )
}

#[test]
fn dovecot_says_whether_a_password_is_right() {
    let begin = |mechanism: &str| format!("AUTH\t1\t{mechanism}\tservice=smtp\tsecured\trip=192.0.2.1\x01t");
    let plain = format!("{}\tresp=AGpvAHNlY3JldA==\n", begin("PLAIN"));
    let by_plain =
        |answer: &str| dovecot("MECH\tPLAIN\tplaintext\n", vec![hear(&plain), say(answer)], "secret");
    assert_eq!(by_plain("OK\t1\tuser=jo\n"), "1");
    assert_eq!(by_plain("FAIL\t1\tuser=jo\n"), "0");
    assert_eq!(by_plain("FAIL\t1\tuser=jo\ttemp\n"), "-1");
    assert_eq!(by_plain("NOISE\n"), "-1");
    // The example of RFC 2195, with its shared secret.
    let challenge = "CONT\t1\tPDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n";
    let answer = "CONT\t1\tam8gYjkxM2E2MDJjN2VkYTdhNDk1YjRlNmU3MzM0ZDM4OTA=\n";
    assert_eq!(
        dovecot(
            "MECH\tPLAIN\nMECH\tCRAM-MD5\n",
            vec![hear(&(begin("CRAM-MD5") + "\n")), say(challenge), hear(answer), say("OK\t1\n")],
            "tanstaaftanstaaf"
        ),
        "1"
    );
    assert_eq!(
        dovecot(
            "MECH\tLOGIN\n",
            vec![
                hear(&(begin("LOGIN") + "\n")),
                say("CONT\t1\tVXNlcm5hbWU6\n"),
                hear("CONT\t1\tam8=\n"),
                say("CONT\t1\tUGFzc3dvcmQ6\n"),
                hear("CONT\t1\tcHc=\n"),
                say("FAIL\t1\n"),
            ],
            "pw"
        ),
        "0"
    );
    assert_eq!(dovecot("MECH\tNTLM\n", Vec::new(), "pw"), "-1");
    let import = r#"import { dovecot_auth } from "extras://dovecot";"#;
    let other = format!(r#"{import} return dovecot_auth(["port" => PORT], "jo", "pw");"#);
    assert_eq!(against(vec![say("VERSION\t2\t0\nMECH\tPLAIN\nDONE\n")], &other), "-1");
    let with_nul = format!(r#"{import} return dovecot_auth([], "jo\x00root", "pw");"#);
    assert_eq!(run(&with_nul), "0");
}

#[test]
fn sophos_tells_of_viruses_and_spam() {
    let scan = |answer: &str| {
        let request = "SSSP/1.0 SCANDATA 36\nContent-Type: message/rfc822\r\n\r\nmail";
        against(
            vec![say("OK SSSP/1.0\r\n"), hear(request), say(answer), hear("BYE\n"), say("BYE\n")],
            r#"import { sophos_av } from "extras://sophos"; return sophos_av(File::String("mail"), ["port" => PORT]);"#,
        )
    };
    assert_eq!(
        scan("ACC 1\r\nVIRUS EICAR-AV-Test file\r\nDONE OK 0203 Virus found.\r\n"),
        r#"["virus"=>[0=>"EICAR-AV-Test"]]"#
    );
    assert_eq!(scan("DONE OK 0000 Clean.\r\n"), r#"["virus"=>[]]"#);
    assert_eq!(scan("DONE FAIL 0210 Encrypted.\r\n"), r#"["virus"=>[],"error"=>"0210 Encrypted."]"#);
    assert_eq!(scan("REJ 4 too much\r\n"), r#"["error"=>"Refused: REJ 4 too much"]"#);
    let spam = "X-LASED-Spam: Confirmed\r\nX-LASED-SpamProbability: 0.97\r\nX-LASED-Hits: ONE 0.5, TWO 2\r\nX-LASED-Impersonation: True\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{spam}", spam.len());
    assert_eq!(
        against(
            vec![hear("POST / HTTP/1.1\r\n"), Step::Say(answer.into_bytes())],
            r#"import { sophos_as } from "extras://sophos"; return sophos_as(File::String("mail"), ["port" => PORT]);"#
        ),
        r#"["Spam"=>"Confirmed","SpamProbability"=>0.97,"Hits"=>["ONE"=>0.5,"TWO"=>2],"Impersonation"=>true]"#
    );
}

#[test]
fn a_classifier_is_asked_once_for_texts_that_mean_the_same() {
    let body = r#"{"class":"unknown-user"}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(
        against(
            vec![hear("POST /v1/bnac/single HTTP/1.1\r\n"), Step::Say(answer.into_bytes())],
            r#"import { bounce_classifier } from "extras://bounce-classifier";
               $url = "http://127.0.0.1:PORT/v1/bnac/single";
               return [bounce_classifier("550 5.1.1 <jo@a.example> unknown", $url),
                   bounce_classifier("550 5.1.1 <al@b.example> unknown", $url)];"#
        ),
        r#"[0=>["class"=>"unknown-user"],1=>["class"=>"unknown-user"]]"#
    );
}

#[test]
fn objects_are_put_with_a_signature() {
    // The signature covers the date, which the script makes: the peer's answer is all that can be fixed here.
    assert_eq!(
        against(
            vec![hear("PUT /bucket/name HTTP/1.1\r\n"), say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
            r#"import { s3_put } from "extras://s3";
               return s3_put("http://127.0.0.1:PORT", "secret", "access", "bucket", "name", File::String("x"))["status"];"#
        ),
        "200"
    );
}
