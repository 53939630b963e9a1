//! Modules that read and make reports: dsn, arf, mta-sts, tls-rpt.

use super::tests::check;

/// A multipart/report with these parts: type and content.
fn report(parts: &[(&str, &str)]) -> String {
    let parts = parts
        .iter()
        .map(|(kind, content)| format!("--b\\r\\nContent-Type: {kind}\\r\\n\\r\\n{content}\\r\\n"));
    let parts: String = parts.collect();
    let header = "From: a@example.com\\r\\nTo: b@example.net, c@example.net\\r\\nDate: d\\r\\n";
    format!(
        r#"MailMessage::String("{header}Content-Type: multipart/report; boundary=b\r\n\r\n{parts}--b--\r\n")"#
    )
}

#[test]
fn delivery_reports_are_taken_apart() {
    let status = "Reporting-MTA: dns; mail.example.org\\r\\nX: 1\\r\\nX: 2\\r\\n\\r\\n\\r\\nFinal-Recipient: rfc822; u@example.org\\r\\n\
                  Diagnostic-Code: smtp; 550\\r\\n no\\r\\n\\r\\nFinal-Recipient: rfc822; v@example.org\\r\\n";
    let mail = report(&[
        ("text/plain", "sorry"),
        ("message/delivery-status", status),
        ("message/rfc822", "Subject: s"),
    ]);
    let unix = mail.replace("\\r\\n", "\\n");
    let fields = r#"["message"=>["reporting-mta"=>"dns; mail.example.org","x"=>"1"],"recipients"=>[0=>["final-recipient"=>"rfc822; u@example.org","diagnostic-code"=>"smtp; 550 no"],1=>["final-recipient"=>"rfc822; v@example.org"]]"#;
    let import = r#"{ dsn_parse } from "extras://dsn""#;
    check(
        import,
        &[
            (&format!("dsn_parse({mail})"), &format!("{fields}]")),
            (&format!("dsn_parse({unix})"), &format!("{fields}]")),
            (
                &format!(r#"dsn_parse({mail}, ["original_message" => true, "original_headers" => true])"#),
                &format!(r#"{fields},"original_message"=>"Subject: s"]"#),
            ),
            (&format!("dsn_parse({})", report(&[("text/plain", "hello")])), "none"),
        ],
    );
}

#[test]
fn abuse_reports_are_taken_apart() {
    let feedback = "Feedback-Type: abuse\\r\\nReported-URI: http://a\\r\\nReported-URI: mailto:b\\r\\n";
    let mail = report(&[("message/feedback-report", feedback), ("text/rfc822-headers", "Subject: s")]);
    let fields = r#"["date"=>"d","from"=>"a@example.com","to"=>[0=>"b@example.net",1=>"c@example.net"],"feedback_report"=>["feedback-type"=>[0=>"abuse"],"reported-uri"=>[0=>"http://a",1=>"mailto:b"]]"#;
    check(
        r#"{ arf_parse } from "extras://arf""#,
        &[
            (&format!("arf_parse({mail})"), &format!("{fields}]")),
            (
                &format!(r#"arf_parse({mail}, ["original_headers" => true])"#),
                &format!(r#"{fields},"original_headers"=>"Subject: s"]"#),
            ),
            (&format!("arf_parse({})", report(&[("text/plain", "hello")])), "none"),
        ],
    );
}

/// Vectors of section 31 of the standard library's reference, by their numbers.
/// The forms of RFC 8461, section 3.2.
#[test]
fn policies_of_mta_sts_are_read() {
    check(
        r#"{ mta_sts_parse } from "extras://mta-sts""#,
        &[
            (
                r#"mta_sts_parse("version: STSv1\r\nmode: enforce\r\nmx: MX.example\r\nmx: *.example.net\r\nmax_age: 604800\r\n")"#,
                r#"["mx"=>[0=>"mx.example",1=>"*.example.net"],"version"=>"STSv1","mode"=>"enforce","max_age"=>604800]"#,
            ),
            (
                r#"mta_sts_parse("version: STSv1\nmode: none\nmode: enforce\nnew_key: x\nmax_age:9999999999")"#,
                r#"["mx"=>[],"version"=>"STSv1","mode"=>"none","new_key"=>"x","max_age"=>31557600]"#,
            ),
            (r#"mta_sts_parse("version: STSv1\nmode: enforce\nmax_age: 604800")"#, "none"),
            (r#"mta_sts_parse("version: STSv1\nmode: testing\nmx: a\nmax_age: soon")"#, "none"),
            (r#"mta_sts_parse("version: STSv2\nmode: none\nmax_age: 1")"#, "none"),
            (r#"mta_sts_parse("<html>")"#, "none"),
        ],
    );
}

#[test]
fn what_tls_reports_need_is_noted() {
    check(
        r#"{ tls_rpt } from "extras://tls-rpt""#,
        &[
            (
                r#"tls_rpt(["localip" => "192.0.2.1", "remotemx" => "mx", "remoteip" => "192.0.2.2", "tls" => ["started" => true]],
                    ["recipientaddress" => ["domain" => "d"]])"#,
                r#"["policy-domain"=>"d","policy-type"=>"no-policy-found","result-type"=>"success","sending-mta-ip"=>"192.0.2.1","receiving-mx-hostname"=>"mx","receiving-ip"=>"192.0.2.2"]"#,
            ),
            (
                r#"tls_rpt(["tls" => ["started" => false]], ["recipientaddress" => ["domain" => "d"]])"#,
                "none",
            ),
            (
                r#"tls_rpt(["tls" => ["tlsrpt" => "certificate-expired", "peercert" => ["error" => "x"], "tlsa" =>
                    ["records" => [["usage" => 3, "selector" => 1, "mtype" => 1, "data" => "ab"]]]]], ["recipientaddress" => ["domain" => "d"]])"#,
                r#"["policy-domain"=>"d","policy-type"=>"tlsa","policy-string"=>[0=>"3 1 1 ab"],"result-type"=>"certificate-expired","failure-reason-code"=>"x"]"#,
            ),
            (
                r#"tls_rpt([], ["recipientaddress" => ["domain" => "d"]], ["error" => "e", "tlsrpt" => "sts-policy-invalid", "policy-string" => "x\r\ny"])"#,
                r#"["policy-domain"=>"d","policy-type"=>"sts","policy-string"=>[0=>"x",1=>"y"],"mx-host"=>[],"result-type"=>"sts-policy-invalid"]"#,
            ),
        ],
    );
}
