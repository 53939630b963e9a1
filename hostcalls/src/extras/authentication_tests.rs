//! `dmarc`, `arc` and `authentication-results`, run on a shard with a name server on the loopback.

use crate::mail::dkim::script_tests::{result, settings};
use crate::on_engine::on_a_shard;

/// Evaluates a case of the table: `spf`, `dns` and `dkim` stand for the world.
const DMARC: &str = r#"
    import { dmarc_evaluate } from "extras://dmarc";
    $case = json_decode(CASE);
    $dns = function ($name, $options) closure ($case) {
        $texts = [];
        foreach ($case["records"] as $record) {
            if ($record[0] != $name or ($options["type"] != "txt" and !pcre_match("/^[A-Z_]+$/", $record[1])))
                continue;
            if (pcre_match("/^[A-Z_]+$/", $record[1]))
                return ["error" => $record[1]];
            $texts[] = $record[1];
        }
        return $texts == [] ? ["error" => "NXDOMAIN"] : ["result" => $texts];
    };
    $spf = function ($ip, $helo, $domain) closure ($case) { return ["result" => $case["spf"]]; };
    $key = dns_query("rsa2048._domainkey.example.org", ["type" => "txt"])["result"][0];
    $dkim = function ($name) closure ($key) { return ["result" => $key]; };
    $mail = MailMessage::String("From: " . $case["from"] . "\r\n\r\nHi.\r\n");
    if ($case["signer"] != "")
        $mail->signDKIM("rsa2048", $case["signer"], "signing", ["id" => true]);
    $r = dmarc_evaluate(MailMessage::String($mail->toString()), [
        "ip" => "192.0.2.1", "helo" => "", "domain" => $case["domain"],
        "spf" => $spf, "dns" => $dns, "dkim" => $dkim, "walks" => $case["walks"], "most" => 8
    ]);
    return array_join([$r["result"], $r["spf_align"] ?? "none", $r["dkim_align"] ?? "none", $r["pdomain"] ?? "none", $r["policy"] ?? "none"], " ");
"#;

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn dmarc_evaluates_as_the_rfcs_say() {
    let mut cases = Vec::new();
    for line in include_str!("testdata/dmarc.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [title, from, domain, spf, signer, option, records, expected] = fields[..] else {
            panic!("{line} has not eight fields")
        };
        let records: Vec<String> = records
            .split(" & ")
            .filter_map(|record| record.split_once('='))
            .map(|(name, text)| format!("[{}, {}]", quoted(name), quoted(text)))
            .collect();
        let case = format!(
            "{{\"from\": {}, \"domain\": {}, \"spf\": {}, \"signer\": {}, \"walks\": {}, \"records\": [{}]}}",
            quoted(from),
            quoted(domain),
            quoted(spf),
            quoted(signer),
            option == "rfc9989",
            records.join(", ")
        );
        cases.push((title, DMARC.replace("CASE", &quoted(&case)), expected));
    }
    assert!(cases.len() > 30);
    on_a_shard(settings(), move |environment| {
        let cases = cases.clone();
        async move {
            for (title, source, expected) in cases {
                assert_eq!(result(&environment, &source).await, expected, "{title}");
            }
        }
    });
}

#[test]
fn dmarc_asks_the_dns_and_spf() {
    let cases = [
        (
            r#"import { dmarc } from "extras://dmarc";
               $r = dmarc(MailMessage::String("From: a@spf.test\r\n\r\n"), "192.0.2.1", "helo.test", "spf.test");
               return $r["result"] . " " . $r["pdomain"];"#,
            "policy_absent spf.test",
        ),
        (
            r#"import { dmarc } from "extras://dmarc";
               return dmarc(MailMessage::String("From: a@spf.test\r\nFrom: b@spf.test\r\n\r\n"));"#,
            r#"["result"=>"permerror","reason"=>"the message has 2 From headers"]"#,
        ),
    ];
    on_a_shard(settings(), move |environment| async move {
        for (source, expected) in cases {
            assert_eq!(result(&environment, source).await, expected, "{source}");
        }
    });
}

/// `scripts/interop-dkim.py` does the same with dkimpy at the other end.
#[test]
fn arc_chains_hold_until_somebody_changes_the_message() {
    const CHAIN: &str = r#"import { ARC } from "extras://arc";
        function hop($mail) {
            $chain = ARC::chainValidate($mail);
            if (!ARC::seal($mail, "rsa2048", "example.org", "signing", $chain, "mx.example.org; none", ["id" => true]))
                return "not sealed";
            return MailMessage::String($mail->toString());
        }
        $mail = MailMessage::String("From: joe@example.org\r\nSubject: x\r\n\r\nHi.\r\n");
        $none = ARC::chainValidate($mail);
        $mail = hop(hop($mail));
        $chain = ARC::chainValidate($mail);"#;
    let cases = [
        ("return $none;", r#"["status"=>"none","instance"=>0,"arcset"=>[]]"#),
        (
            r#"return [$chain["status"], $chain["instance"], $chain["oldestpass"], $chain["domains"]];"#,
            r#"[0=>"pass",1=>2,2=>0,3=>[0=>"example.org",1=>"example.org"]]"#,
        ),
        (
            r#"return ARC::chainValidate(MailMessage::String($mail->toString() . "more\r\n"))["error"];"#,
            "the message signature of instance 2: body hash did not verify",
        ),
        // A hop that changes the message and seals again: the first signature no longer holds, the chain does.
        (
            r#"$mail->setBody("Changed.\r\n"); $chain = ARC::chainValidate(hop($mail));
               return [$chain["status"], $chain["oldestpass"]];"#,
            r#"[0=>"pass",1=>3]"#,
        ),
        // What is sealed is sealed: another result in the first set breaks the seal.
        (
            r#"$mail = MailMessage::String(pcre_replace("/i=1; mx.example.org; none/", "i=1; mx.example.org; dkim=pass", $mail->toString()));
               return ARC::chainValidate($mail)["error"];"#,
            "the seal of instance 2 does not hold",
        ),
        (
            r#"$mail->delHeader("ARC-Seal", ["index" => 1]);
               return ARC::chainValidate(MailMessage::String($mail->toString()))["error"];"#,
            "instance 1 has no ARC-Seal",
        ),
        (
            r#"$mail->addHeader("ARC-Seal", "i=51; cv=pass");
               return ARC::chainValidate(MailMessage::String($mail->toString()))["error"];"#,
            "instance 51 of ARC-Seal is out of range",
        ),
        // A broken chain gets no further pass.
        (
            r#"$mail = hop(MailMessage::String($mail->toString() . "more\r\n"));
               return ARC::chainValidate($mail)["error"];"#,
            "the seal of instance 3 says cv=fail",
        ),
    ];
    on_a_shard(settings(), move |environment| async move {
        for (source, expected) in cases {
            assert_eq!(result(&environment, &format!("{CHAIN} {source}")).await, expected, "{source}");
        }
    });
}

/// RFC 8463: the key of a seal may be short, and hops of both kinds may follow each other.
#[test]
fn arc_seals_hold_with_ed25519_too() {
    const HOPS: &str = r#"import { ARC } from "extras://arc";
        function hop($mail, $selector, $key, $options = []) {
            if (!ARC::seal($mail, $selector, "example.org", $key, ARC::chainValidate($mail), "mx.example.org; none", $options))
                return none;
            return MailMessage::String($mail->toString());
        }
        $mail = MailMessage::String("From: joe@example.org\r\nSubject: x\r\n\r\nHi.\r\n");
        $mail = hop($mail, "ed25519", KEY);"#;
    let key = quoted(include_str!("../../../mail/src/keys/testdata/ed25519.pem"));
    let cases = [
        (r#"return $mail->getHeader("ARC-Seal") =~ ''a=ed25519-sha256;'';"#, "true"),
        (r#"return ARC::chainValidate($mail)["status"];"#, "pass"),
        (
            r#"$mail = hop(hop($mail, "rsa2048", "signing", ["id" => true]), "ed25519", ed25519_privatekey(KEY));
               $chain = ARC::chainValidate($mail); return [$chain["status"], $chain["instance"], $chain["oldestpass"]];"#,
            r#"[0=>"pass",1=>3,2=>0]"#,
        ),
        (
            r#"return ARC::chainValidate(MailMessage::String($mail->toString() . "more\r\n"))["status"];"#,
            "fail",
        ),
        (
            r#"$mail = MailMessage::String(pcre_replace("/(?<=ARC-Authentication-Results: )i=1/", "i=1; spf=pass", $mail->toString()));
               return ARC::chainValidate($mail)["status"];"#,
            "fail",
        ),
    ];
    on_a_shard(settings(), move |environment| {
        let key = key.clone();
        async move {
            for (source, expected) in cases {
                let source = format!("{HOPS} {source}").replace("KEY", &key);
                assert_eq!(result(&environment, &source).await, expected, "{source}");
            }
        }
    });
}

#[test]
fn results_are_written_as_the_header_wants_them() {
    let cases = [
        ("", "mx.test; none"),
        (r#"->DKIM([])->TLS(none)"#, "mx.test; dkim=none; tls=none"),
        (
            r#"->SPF(["result" => "pass"], "helo.test", "a.test", ["smtp.remote-ip" => "2001:db8::1"])"#,
            r#"mx.test; spf=pass smtp.mailfrom=a.test smtp.helo=helo.test smtp.remote-ip="2001:db8::1""#,
        ),
        (r#"->SPF(["result" => "invalid"], "helo.test", "")"#, "mx.test; spf=permerror smtp.helo=helo.test"),
        (
            r#"->DKIM([["result" => "pass", "tags" => ["d" => "a.test", "s" => "k", "b" => "AbC dEfGh+/"]], ["result" => "permerror"]])"#,
            r#"mx.test; dkim=pass header.d=a.test header.s=k header.b=AbCdEfGh; dkim=permerror"#,
        ),
        (
            r#"->DMARC(["result" => "quarantine", "from" => "a.test"])"#,
            "mx.test; dmarc=fail header.from=a.test",
        ),
        (
            r#"->DMARC(["result" => "policy_absent", "from" => "a.test"])"#,
            "mx.test; dmarc=none header.from=a.test",
        ),
        // Nothing can end the value, or the line.
        (
            r#"->addMethod("x", "fail", ["a.b" => "c\"; spf=pass\r\nX: \\"])"#,
            r#"mx.test; x=fail a.b="c\"; spf=pass X: \\""#,
        ),
    ];
    on_a_shard(settings(), move |environment| async move {
        for (calls, expected) in cases {
            let source = format!(
                "import {{ AuthenticationResults }} from \"extras://authentication-results\";
                 return AuthenticationResults([\"hostname\" => \"mx.test\"]){calls}->toString();"
            );
            assert_eq!(result(&environment, &source).await, expected, "{calls}");
        }
    });
}
