//! What the fuzz target of the modules `extras://…` checks, shared with the test that replays its corpus. Uses the public
//! interface only.
#![allow(unreachable_pub, dead_code)] // a module of several programs

use std::rc::Rc;
use std::sync::LazyLock;

use script::compile::{CompileOptions, NoLoader, Predefined, SourceText, compile};
use script::machine::{Context, Limits, Loaded, Run};
use script::value::Value;

use super::still::{Still, answer};

/// Scripts that give what strangers send, `$data`, to a module. None of them may end with an error: a hook that imports the
/// module would. They answer with what is wrong, or with nothing.
const SCRIPTS: &[&str] = &[
    // Reports about mail that was sent.
    r#"import { dsn_parse } from "extras://dsn";
       import { arf_parse } from "extras://arf";
       $mail = MailMessage::String($data);
       $options = ["original_message" => true, "original_headers" => true];
       if (($dsn = dsn_parse($mail, $options)) !== none and !is_array($dsn["recipients"])) return "a report without recipients";
       arf_parse($mail, $options);"#,
    // What servers say when they refuse mail.
    r#"import { bounce_normalizer } from "extras://bounce-normalizer";
       $text = bounce_normalizer($data);
       if (pcre_match("/[\\x00-\\x1f\\x7f]|  |^ | $/", $text)) return "not normal: $text";"#,
    // A policy from a web server.
    r#"import { mta_sts_parse } from "extras://mta-sts";
       $policy = mta_sts_parse($data);
       if ($policy !== none and !is_number($policy["max_age"])) return "no policy";"#,
    // Addresses that strangers send to.
    r#"import { batv_sign, batv_strip, batv_verify } from "extras://batv";
       import { srs_forward, srs_reverse } from "extras://srs";
       batv_verify($data, ["key"]); batv_strip($data); srs_reverse($data, ["secret" => "s"]);
       $signed = batv_sign($data, "key");
       if ($data !== "" and (batv_strip($signed) !== $data or batv_verify($signed, ["key"]) !== "pass")) return "signed: $signed";
       $forward = srs_forward($data, "a.example", ["secret" => "s"]);
       $back = srs_reverse($forward, ["secret" => "s"]);
       if (!pcre_match("/^SRS[01][=+-]/i", $data) and ($back["localpart"] !== $data or $back["domain"] !== "a.example"))
           return "forward: $forward";"#,
    // Extra fields of a PROXY header: what does not fit throws, by contract.
    r#"import { ProxyTLV } from "extras://proxytlv";
       try { $tlv = ProxyTLV($data); } catch ($error) { $tlv = none; }
       if ($tlv) foreach ($tlv->types() as $type) try { $tlv->value($type); } catch ($error) {}"#,
    // Lines that answer the DNS, an empty one, and a message.
    r#"import { dmarc_evaluate } from "extras://dmarc";
       import { arc_validate } from "extras://arc";
       import { AuthenticationResults } from "extras://authentication-results";
       [$lines, $text] = [...str_split($data, "\n\n", 2), ""];
       $dns = function ($name, $options) closure ($lines) {
           $texts = [];
           foreach (str_split($lines, "\n") as $at => $line)
               if (length($name) % 3 == $at % 3)
                   $texts[] = $line;
           return $texts == [] ? ["error" => length($name) % 2 ? "NXDOMAIN" : "SERVFAIL"] : ["result" => $texts];
       };
       $key = function ($name) closure ($lines) { return ["result" => $lines]; };
       $spf = function ($ip, $helo, $domain) { return ["result" => "pass"]; };
       $mail = MailMessage::String($text);
       foreach ([false, true] as $walks) {
           $result = dmarc_evaluate($mail, ["ip" => "192.0.2.1", "helo" => "h.example.org", "domain" => "a.example.org",
               "spf" => $spf, "dns" => $dns, "dkim" => $key, "walks" => $walks, "most" => 8]);
           if (!is_string($result["result"])) return "no result";
           $header = AuthenticationResults(["hostname" => "mx"])->DMARC($result)->toString();
           if (pcre_match("/[\\x00-\\x1f]/", $header)) return "a header of several lines: $header";
       }
       $chain = arc_validate($mail, $dns, ["dns_function" => $key]);
       if (!array_includes($chain["status"], ["none", "fail", "pass"])) return "no status";"#,
    // Pictures and their certificates.
    r#"import { bimi_der_read, bimi_svg_check } from "extras://bimi";
       bimi_svg_check($data); bimi_der_read($data);"#,
    // Servers of content filters and logins.
    r#"import { StreamReader } from "extras://__stream";
       import { spamc_result } from "extras://spamassassin";
       import { sophos_pairs, sophos_value, sophos_verdict } from "extras://sophos";
       import { dovecot_exchange, dovecot_greeting } from "extras://dovecot";
       class Said {
           private $left = "";
           constructor($data) { $this->left = $data; }
           function recv($most) { $piece = str_slice($this->left, 0, 7); $this->left = str_slice($this->left, 7); return $piece; }
           function send($data) { return length($data); }
       }
       foreach ([false, true] as $report) spamc_result($data, $report, false);
       sophos_pairs($data, " ", number); sophos_value("Version", $data);
       sophos_verdict(StreamReader(Said($data), 65536));
       dovecot_greeting(StreamReader(Said($data), 65536));
       foreach (["CRAM-MD5", "LOGIN"] as $mechanism)
           dovecot_exchange(Said($data), StreamReader(Said($data), 65536), $mechanism, [], "user", "pencil");"#,
    // Templates, and texts in a template, which cannot get out of their place.
    r#"import { handlebars } from "extras://handlebars";
       $given = handlebars($data, ["a" => [1, 2], "b" => ["c" => "d"]]);
       if (!is_string($given["result"] ?? $given["error"])) return "neither a text nor an error";
       $page = handlebars("<p title=\"{{t}}\">{{#each l}}{{this}}{{/each}}</p>", ["t" => $data, "l" => [$data]])["result"];
       if (pcre_replace("/[^<>\"]+/", "", $page) !== "<\"\"><>") return "it got out: $page";"#,
    // A message whose links are counted.
    r#"import { enable_tracking } from "extras://tracking";
       $mail = MailMessage::String($data);
       enable_tracking($mail, "a@b.example", ["url" => "https://t.example", "secret" => ["id" => 1, "key" => "k"],
           "click" => true, "open" => true, "unsubscribe" => true]);
       $again = MailMessage::String($mail->toString());
       if ($again->getHeader("Message-ID") !== $mail->getHeader("Message-ID")) return "it is another message";"#,
    // Certificates, lists of revoked ones, keys, and structured headers.
    r#"$certificates = [X509::String($data)];
       if ($certificates[0]) {
           $one = $certificates[0];
           $one->subject(); $one->issuer(); $one->subject_alt_name(); $one->extensions(); $one->public_key();
           if (X509::String($one->export()) === none) return "a certificate that cannot be read again";
       }
       X509CRL::String($data); rsa_privatekey($data); ec_privatekey($data);
       rsa_verify("message", $data, $data); ed25519_verify("message", $data, str_slice($data, 0, 32));
       header_dkim_decode($data); header_addresslist_extract($data);
       idna_encode($data); idna_decode($data); domain_publicsuffix($data); domain_includes($data, "example.org");"#,
];

static PROGRAMS: LazyLock<Vec<std::sync::Arc<script::compile::Program>>> = LazyLock::new(|| {
    let data = Predefined { name: "data".to_owned(), read_only: true };
    let options = CompileOptions { predefined: vec![data], forbid_absent: true, ..CompileOptions::default() };
    let load = |source: &&str| {
        let text = SourceText { name: "main".to_owned(), bytes: source.as_bytes().to_vec() };
        match compile(text, &mut NoLoader, &hostcalls::library(), &options) {
            Ok(compiled) => compiled.program,
            Err(why) => {
                let shown: Vec<String> = why.all.iter().map(|finding| finding.render(&why.sources)).collect();
                panic!("{}", shown.join("\n"))
            }
        }
    };
    SCRIPTS.iter().map(load).collect()
});

/// The first byte chooses the script, the others are its `$data`.
pub fn extras(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let number = usize::from(kind) % SCRIPTS.len();
    let loaded = Loaded::new(&PROGRAMS[number]);
    let mut context = Context::new(&loaded, Limits { steps: 5_000_000, ..Limits::default() });
    context.set("data", Value::from(data));
    let mut host = Still::default();
    let run = loop {
        match context.run(&mut host, u32::MAX) {
            Run::Pending(call) => context.resume(answer(call, 1)),
            run => break run,
        }
    };
    match run {
        Run::Done(Value::None) => {}
        Run::Done(value) => panic!("script {number}: {value:?}"),
        Run::Failed(error) => panic!("script {number}: {error}"),
        other => panic!("script {number}: {other:?}"),
    }
    drop(context);
    assert_eq!(Rc::strong_count(&loaded), 1, "nothing of an execution is left");
}
