use std::rc::Rc;

use net::smtp::sasl::{Client, Credentials, Mechanism};
use script::compile::{CompileOptions, NoLoader, SourceText, compile};
use script::fault::Fault;
use script::host::{Host as _, PendingCall};
use script::machine::{Context, Limits, Loaded, Run};
use script::native::{Surroundings, run_offloaded};
use script::value::Value;

use crate::on_engine::{on_a_shard, result};
use crate::testing::TestHost;
use crate::{Environment, Settings, library};

/// The text of what `return expression;` gives at a time in 2023, after importing `import`.
pub(super) fn eval(import: &str, expression: &str) -> String {
    let source = format!("import {import};\nreturn {expression};");
    let main = SourceText { name: "main".to_owned(), bytes: source.into_bytes() };
    let compiled = compile(main, &mut NoLoader, &library(), &CompileOptions::default());
    let compiled = compiled.unwrap_or_else(|failed| panic!("{expression}: {:?}", failed.all));
    assert!(compiled.warnings.is_empty(), "{import}: {:?}", compiled.warnings);
    let mut host = TestHost::new(1_700_000_000.25);
    let mut context = Context::new(&Loaded::new(&compiled.program), Limits::default());
    loop {
        return match context.run(&mut host, u32::MAX) {
            Run::Pending(PendingCall::Offload { native, this, args }) => {
                let timezone = jiff::tz::TimeZone::UTC;
                let surroundings =
                    Surroundings { now: host.now(), seed: [7; 32], monotonic: || 0.0, timezone };
                let result = run_offloaded(native, this, args, surroundings);
                context.resume(result.map(|value| Value::from_frozen(&value)).map_err(Fault::from));
                continue;
            }
            Run::OutOfBudget => continue,
            Run::Done(value) if value.is_none() => "none".to_owned(),
            Run::Done(value) => value.to_text().unwrap().to_string_lossy().into_owned(),
            Run::Failed(error) => format!("failed: {}", error.message),
            _ => panic!("{expression} does not end"),
        };
    }
}

pub(super) fn check(import: &str, cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(eval(import, expression), *expected, "{expression}");
    }
}

/// Addresses computed from the description of Mail::SRS by other means.
#[test]
fn senders_are_rewritten_and_come_back() {
    check(
        r#"{ srs_forward, srs_reverse } from "extras://srs""#,
        &[
            (
                r#"srs_forward("User", "Source.example", ["secret" => "key"])"#,
                "SRS0=3n+j=G3=Source.example=User",
            ),
            (
                r#"srs_forward("SRS0=3n+j=G3=Source.example=User", "relay.example", ["secret" => "other"])"#,
                "SRS1=a3ux=relay.example==3n+j=G3=Source.example=User",
            ),
            (
                r#"srs_forward("SRS1=a3ux=relay.example==3n+j=G3=Source.example=User", "next.example", ["secret" => "third"])"#,
                "SRS1=C1UK=relay.example==3n+j=G3=Source.example=User",
            ),
            (
                r#"srs_forward("user", "source.example", ["hashlen" => 8])"#,
                "SRS0=wp+TNma5=G3=source.example=user",
            ),
            (
                r#"srs_reverse("srs0=3N+J=g3=source.EXAMPLE=user", ["secret" => "key"])"#,
                r#"["localpart"=>"user","domain"=>"source.EXAMPLE"]"#,
            ),
            (
                r#"srs_reverse("SRS1=a3ux=relay.example==3n+j=G3=Source.example=User", ["secret" => "other"])"#,
                r#"["localpart"=>"SRS0=3n+j=G3=Source.example=User","domain"=>"relay.example"]"#,
            ),
            (r#"srs_reverse("SRS0=3n+j=G3=Source.example=User", ["secret" => "other"])"#, "none"),
            (r#"srs_reverse("SRS0=3n+j=G3=Source.example=Usex", ["secret" => "key"])"#, "none"),
            (r#"srs_reverse("SRS0=3n+j=G3=Source.example", ["secret" => "key"])"#, "none"),
            (r#"srs_reverse("SRS1=a3ux=x", ["secret" => "key"])"#, "none"),
            (r#"srs_reverse("user")"#, "none"),
            (
                r#"srs_reverse("SRS0=3n+j=G3=Source.example=User", ["secret" => "key", "time" => 1700000000 + 21 * 86400]) != none"#,
                "true",
            ),
            (
                r#"srs_reverse("SRS0=3n+j=G3=Source.example=User", ["secret" => "key", "time" => 1700000000 + 22 * 86400])"#,
                "none",
            ),
            (
                r#"srs_reverse(srs_forward("a=b", "c", ["time" => 1023 * 86400]), ["time" => 1024 * 86400])"#,
                r#"["localpart"=>"a=b","domain"=>"c"]"#,
            ),
        ],
    );
}

#[test]
fn bounces_are_tagged_and_verified() {
    let signed = "prvs=3682 61fc23=user@example.com".replace(' ', "");
    let verify = |address: &str, keys: &str| {
        let import = r#"{ batv_verify } from "extras://batv""#;
        eval(import, &format!(r#"batv_verify("{address}", {keys})"#))
    };
    check(
        r#"{ batv_sign, batv_strip } from "extras://batv""#,
        &[
            (r#"batv_sign("user@example.com", "secret", ["keyid" => 3])"#, &signed),
            (&format!(r#"batv_strip("{signed}")"#), "user@example.com"),
            (r#"batv_strip("user@example.com")"#, "user@example.com"),
        ],
    );
    assert_eq!(verify(&signed, r#"[3 => "secret"]"#), "pass");
    assert_eq!(
        verify(&signed.to_uppercase().replace("USER@EXAMPLE.COM", "user@example.com"), r#"[3 => "secret"]"#),
        "pass"
    );
    assert_eq!(verify(&signed, r#"["secret"]"#), "invalid");
    assert_eq!(verify(&signed, r#"[3 => "other"]"#), "checksum");
    assert_eq!(verify(&signed.replace("user", "usex"), r#"[3 => "secret"]"#), "checksum");
    assert_eq!(verify("user@example.com", "[]"), "missing");
    assert_eq!(verify("prvs=nonsense", "[]"), "invalid");
    let sign = |days: i32| {
        eval(
            r#"{ batv_sign, batv_verify } from "extras://batv""#,
            &format!(r#"batv_verify(batv_sign("a@b", "k", ["days" => {days}]), ["k"])"#),
        )
    };
    assert_eq!([sign(0), sign(7), sign(30), sign(-1)], ["pass", "pass", "pass", "expired"]);
}

#[test]
fn a_ulid_begins_with_its_time() {
    check(r#"{ ulid } from "extras://ulid""#, &[("ulid()", "01HF7YAT7T7777777777777777")]);
}

#[test]
fn fields_of_the_proxy_protocol_are_found_by_name_and_number() {
    let tlv = r#"pack("CnH*Cna*CnNCna*Cna*Cna*", 0x20, 15, "0500000000" . "210007544c5376312e33", 1, 2, "h2", 3, 4, 4294967295, 0x30, 0, "", 0xea, 3, "\x01ab", 5, 1, "u")"#;
    let cases = [
        (r#"->value("ALPN")"#, "h2"),
        (r#"->value(1)"#, "h2"),
        (r#"->value("CRC32C")"#, "4294967295"),
        (r#"->value("SSL")"#, r#"["VERSION"=>"TLSv1.3"]"#),
        (r#"->value("NETNS")"#, ""),
        (r#"->value(0xea)[1:]"#, "ab"),
        (r#"->value("AUTHORITY")"#, "none"),
        (r#"->value("NONSENSE")"#, "none"),
        ("->types()", r#"[0=>"SSL",1=>"ALPN",2=>"CRC32C",3=>"NETNS",4=>234,5=>"UNIQUE_ID"]"#),
    ];
    for (access, expected) in cases {
        let found = eval(r#"{ ProxyTLV } from "extras://proxytlv""#, &format!("ProxyTLV({tlv}){access}"));
        assert_eq!(found, expected, "{access}");
    }
    let cut = eval(r#"{ ProxyTLV } from "extras://proxytlv""#, r#"ProxyTLV("\x01\x00\x05ab")"#);
    assert!(cut.starts_with("failed: "), "{cut}");
}

#[test]
fn dates_and_the_environment_come_from_the_host() {
    check(
        r#"{ time_rfc2822 } from "extras://time-rfc2822""#,
        &[
            ("time_rfc2822()", "Tue, 14 Nov 2023 22:13:20 +0000"),
            ("time_rfc2822(1645012689.519825)", "Wed, 16 Feb 2022 11:58:09 +0000"),
            (r#"time_rfc2822(none, "UTC")"#, "Tue, 14 Nov 2023 22:13:20 +0000"),
        ],
    );
    let wrong = eval(r#"{ time_rfc2822 } from "extras://time-rfc2822""#, r#"time_rfc2822(0, "No/Where")"#);
    assert!(wrong.contains("unknown time zone"), "{wrong}");
    check(
        r#"{ getenv } from "extras://env""#,
        &[
            (r#"getenv("CARGO_PKG_NAME") ?? "hostcalls""#, "hostcalls"),
            (r#"getenv("NO_SUCH_VARIABLE_HERE")"#, "none"),
            (r#"getenv("")"#, "none"),
            (r#"getenv("A=B")"#, "none"),
        ],
    );
}

#[test]
fn the_vectors_of_mail_hold() {
    let table = include_str!("../../../script/src/std/vectors.txt");
    let mut count = 0;
    for line in table.lines().filter(|line| {
        ["mailmessage", "envelope_", "header_"].iter().any(|word| line.to_ascii_lowercase().contains(word))
    }) {
        let mut columns = line.splitn(3, " | ");
        let (Some(id), Some(expression), Some(expected)) = (columns.next(), columns.next(), columns.next())
        else {
            panic!("{line}")
        };
        let expected = expected.replace("\\r", "\r").replace("\\n", "\n");
        assert_eq!(eval(r#"{ ulid } from "extras://ulid""#, expression), expected, "{id}");
        count += 1;
    }
    assert_eq!(count, 10);
}

/// A client logs in by the module `sasl`: how many challenges it gets, and as whom it is let in.
async fn log_in(environment: &Rc<Environment>, mechanism: Mechanism, said: &str) -> (usize, Option<String>) {
    let credentials = Credentials { username: "a,b".into(), password: said.into() };
    let mut client = Client::new(mechanism, &credentials, &[7; 18]);
    let mut response = client.initial_response();
    let mut kept = "none".to_owned();
    for state in 0..4 {
        let given = match &response {
            Some(response) => {
                format!("\"response\" => base64_decode(\"{}\")", data_encoding::BASE64.encode(response))
            }
            None => String::new(),
        };
        let step = result(
            environment,
            &format!(
                "import {{ sasl }} from \"extras://sasl\";
                return json_encode(sasl([\"mechanism\" => \"{}\", \"state\" => {state}, {given}], {kept},
                    function ($user) {{ return $user == \"a,b\" ? \"secret\" : none; }}));",
                mechanism.name()
            ),
        )
        .await;
        let field = async |name: &str| {
            let found =
                result(environment, &format!("return json_decode({step:?})[\"{name}\"] ?? \"-\";")).await;
            (found != "-").then_some(found)
        };
        if let Some(username) = field("username").await {
            assert_eq!(client.succeeded(), Ok(()));
            return (state, Some(username));
        }
        let Some(reply) = field("reply").await else { return (state, None) };
        kept = format!("json_decode({step:?})[\"keep\"]");
        let Ok(next) = client.respond(reply.as_bytes()) else { return (state, None) };
        response = Some(next);
    }
    (4, None)
}

#[test]
fn sasl_lets_in_who_knows_the_password() {
    on_a_shard(Settings::default(), |environment| async move {
        for (mechanism, challenges) in [(Mechanism::CramMd5, 1), (Mechanism::ScramSha256, 2)] {
            let right = log_in(&environment, mechanism, "secret").await;
            assert_eq!(right, (challenges, Some("a,b".to_owned())), "{mechanism:?}");
            assert_eq!(log_in(&environment, mechanism, "Secret").await.1, None, "{mechanism:?}");
        }
    });
}

#[test]
fn bounces_that_mean_the_same_are_the_same_text() {
    check(
        r#"{ bounce_normalizer } from "extras://bounce-normalizer""#,
        &[
            (
                r#"bounce_normalizer("550 5.7.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. For more information, go to https://support.google.com/mail/?p=NoSuchUser 38308e7fff4ca-317d13bdb9esi41173941fa.224 - gsmtp")"#,
                "550 5_7_1 the email account that you tried to reach does not exist please try double checking the recipient's email address for typos or unnecessary spaces for more information go to __url__ google __uuid__ gsmtp",
            ),
            (
                r#"bounce_normalizer("451 4.7.1 <a.b@c.example>: Greylisting in effect, please come back later")"#,
                "451 4_7_1 __email__ greylisting in effect please come back later",
            ),
            (
                r#"bounce_normalizer("421-4.7.0 [192.0.2.1      15] mx1.example.com [2001:db8::1] said: 12345678 AB12CD34EF56")"#,
                "421 4_7_0 __ip__ 15 __host__ __ip__ said __uuid__ __uuid__",
            ),
            (r#"bounce_normalizer("")"#, ""),
        ],
    );
}

#[test]
fn templates_are_filled_in() {
    let import = r#"{ handlebars } from "extras://handlebars""#;
    check(
        import,
        &[
            (
                r#"handlebars("<h1>{{title}}</h1> {{{raw}}} {{&raw}}{{none.x}}|{{a.b}} {{a/c.[1]}} {{this.n}}",
                    ["title" => "A & <B>", "raw" => "<i>'", "a" => ["b" => 1, "c" => [1, true]], "n" => 2.5])"#,
                r#"["result"=>"<h1>A &amp; &lt;B&gt;</h1> <i>' <i>'|1 true 2.5"]"#,
            ),
            (
                r#"handlebars("{{#each items}}\n{{@index}}:{{name}}{{#unless @last}},{{/unless}} {{../x}}\n{{else}}\nnothing\n{{/each}}\nend",
                    ["x" => "X", "items" => [["name" => "a"], ["name" => "b"]]])"#,
                "[\"result\"=>\"0:a, X\n1:b X\nend\"]",
            ),
            (
                r#"handlebars("{{#if a}}A{{else if b}}B{{else}}C{{/if}}{{#if c}}A{{else if b}}B{{else}}C{{/if}}{{#if c}}A{{else if c}}B{{else}}C{{/if}}",
                    ["a" => 1, "b" => 1])"#,
                r#"["result"=>"ABC"]"#,
            ),
            (
                r#"handlebars("{{#with p}}{{q}}{{../r}}{{/with}}{{#p}}{{q}}{{/p}}{{^z}}no z{{/z}}{{#l}}{{this}},{{/l}}{{#each p}}{{@key}}={{.}}{{/each}}",
                    ["p" => ["q" => 1], "r" => 2, "l" => [1, 2]])"#,
                r#"["result"=>"121no z1,2,q=1"]"#,
            ),
            (
                r#"handlebars("a {{~ x ~}}  b{{!-- c }} --}}{{! d }} {{lookup l 1}} {{equal x \"1\"}} {{@root.x}}", ["x" => 1, "l" => [1, 2]])"#,
                r#"["result"=>"a1b 2 true 1"]"#,
            ),
            (r#"handlebars("{{#if a}}", [])"#, r#"["error"=>"the block if is not closed"]"#),
            (r#"handlebars("\n{{/if}}", [])"#, r#"["error"=>"line 2: /if closes nothing"]"#),
            (r#"handlebars("{{#if a}}{{/with}}", [])"#, r#"["error"=>"line 1: /with closes nothing"]"#),
            (r#"handlebars("{{> p}}", [])"#, r#"["error"=>"line 1: there are no partials"]"#),
            (r#"handlebars("{{foo bar}}", [])"#, r#"["error"=>"line 1: foo is no helper"]"#),
            (r#"handlebars("{{x", [])"#, r#"["error"=>"line 1: a tag does not end"]"#),
            (r#"handlebars("{{}}", [])"#, r#"["error"=>"line 1: a tag is empty"]"#),
        ],
    );
}

const TRACKED: &str = r#"
function tracked($html, $settings) {
    $mail = MailMessage::String("Message-ID: <1@x>\r\nContent-Type: text/html\r\n\r\n" . $html);
    enable_tracking($mail, "a@b", $settings + ["url" => "http://t.example", "secret" => ["id" => 7, "key" => "k"]]);
    return MailMessage::String($mail->toString());
}
function opened($url) {
    $payload = pcre_match("/\\/[cou]\\/([A-Za-z0-9_-]+)/", $url)[1];
    $raw = base64_decode(str_replace("_", "/", str_replace("-", "+", $payload)));
    $data = zlib_uncompress($raw[33:], -15);
    return [unpack("C", $raw)[0], $data, hmac_sha2("k", $data, 256, ["binary" => true]) === $raw[1:33]];
}
"#;

#[test]
fn links_and_pictures_tell_who_has_seen_them() {
    let eval = |expression: &str| {
        let import = r#"import { enable_tracking } from "extras://tracking";"#;
        super::clients_tests::run(&format!("{import}{TRACKED}return {expression};"))
    };
    let data = r#"{\"r\":\"a@b\",\"m\":\"<1@x>\",\"u\":\"https://e.example/?a=1\",\"a\":{\"n\":1}}"#;
    let links = r#"opened(tracked("<a href='https://e.example/?a=1'>x</a>", ["click" => true, "additional" => ["n" => 1]])->getBody())"#;
    assert_eq!(eval(links), format!(r#"[0=>7,1=>"{}",2=>true]"#, data));
    for kept in [
        "<a href=#top>",
        "<a href=mailto:a@b>",
        "<a tracking='off' href=http://e>",
        "<a href=http://t.example/q>",
        "<a name=x>",
    ] {
        let body = eval(&format!(r#"tracked("{kept}", ["click" => true])->getBody()"#));
        assert_eq!(body, kept);
    }
    let image = eval(r#"tracked("<p>x</BODY>y", ["open" => true])->getBody()"#);
    assert!(
        image.starts_with("<p>x<img src=\"http://t.example/o/") && image.ends_with("/></BODY>y"),
        "{image}"
    );
    let header = eval(r#"opened(tracked("", ["unsubscribe" => true])->getHeader("List-Unsubscribe"))"#);
    assert!(header.ends_with("2=>true]"), "{header}");
    assert_eq!(eval(r#"tracked("<a href=http://e>", [])->getBody()"#), "<a href=http://e>");
}

/// Each was looked for among all of them: a report of a megabyte took minutes.
#[test]
fn reports_with_very_many_fields_are_read_up_to_a_bound() {
    let fields: String = (0..1500).map(|number| format!(r"F{number}: x\r\n")).collect();
    let report = |kind: &str, before: &str| {
        format!(
            r#"MailMessage::String("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/{kind}\r\n\r\n{before}{fields}\r\n--b--\r\n")"#
        )
    };
    let dsn = report("delivery-status", r"Reporting-MTA: dns; mx\r\n\r\n");
    let expression = format!(r#"length(dsn_parse({dsn})["recipients"][0])"#);
    check(r#"{ dsn_parse } from "extras://dsn""#, &[(&expression, "1000")]);
    let expression = format!(r#"length(arf_parse({})["feedback_report"])"#, report("feedback-report", ""));
    check(r#"{ arf_parse } from "extras://arf""#, &[(&expression, "1000")]);
}

/// JSON cannot say it, and the script ended with an error.
#[test]
fn a_link_that_is_no_utf_8_stops_nothing() {
    let eval = |expression: &str| {
        let import = r#"import { enable_tracking } from "extras://tracking";"#;
        super::clients_tests::run(&format!("{import}{TRACKED}return {expression};"))
    };
    let all = r#"["click" => true, "open" => true, "unsubscribe" => true]"#;
    for text in [r"<a href=http://e/\xff>", r"\xff"] {
        let found = eval(&format!(r#"is_string(tracked("{text}", {all})->getBody()) ? "a text" : "none""#));
        assert_eq!(found, "a text", "{text}");
    }
    let additional = r#"["click" => true, "unsubscribe" => true, "additional" => "\xff"]"#;
    let found = eval(&format!(r#"tracked("<a href=http://e/>", {additional})->getBody()"#));
    assert_eq!(found, "<a href=http://e/>", "what cannot be said is not counted");
}

#[test]
fn a_document_tells_of_an_attempt() {
    let expression = r#"json_encode(array_filter(function ($v) { return $v ? true : false; }, generate_delivery_attempt([
        "arguments" => ["action" => "QUEUE", "dsn" => ["diagnosticcode" => "450 4.2.0 <jo@d.example> busy"],
            "attempt" => ["result" => ["code" => 450, "enhanced" => [4, 2, 0], "state" => "EOD"], "connection" => ["remotemx" => "mx"]]],
        "message" => ["id" => ["transaction" => "t", "queue" => 1], "ts" => 1, "recipientaddress" => ["localpart" => "jo", "domain" => "d.example"]],
        "custom" => ["hostname" => "mine", "more" => 2]
    ], ["redact" => true])))"#;
    let found = eval(r#"{ generate_delivery_attempt } from "extras://history-elastic""#, expression);
    for part in [
        r#""action":"deferred""#,
        r#""smtpenhanced":"4.2.0""#,
        r#""smtpreason":"450 4.2.0 <...@d.example> busy""#,
        r#""remotemx":"mx""#,
        r#""more":2"#,
        r#""transactionid":"t""#,
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert!(!found.contains("jo") && !found.contains("totalduration"), "{found}");
    check(
        r#"{ emailconsul_arf, emailconsul_async } from "extras://emailconsul""#,
        &[
            (
                r#"emailconsul_arf(["version" => "1"])"#,
                r#"["type"=>"arf","time"=>1700000000250,"version"=>"1"]"#,
            ),
            (
                r#"emailconsul_async(["message" => 1], ["address" => "a", "transportid" => "t"], "r")"#,
                r#"["type"=>"async","time"=>1700000000250,"message"=>1,"sender"=>"a","transportid"=>"t","recipient"=>"r"]"#,
            ),
        ],
    );
}

const MARKS: &str = r#"
import { bimi, bimi_mark, bimi_svg_check } from "extras://bimi";
$head = "<svg version='1.2' baseProfile='tiny-ps' xmlns='http://www.w3.org/2000/svg'>";
function der($tag, $content) {
    $size = length($content);
    return pack("C", $tag) . ($size < 128 ? pack("C", $size) : pack("Cn", 0x82, $size)) . $content;
}
function logotype($image, $sum) {
    $place = "data:image/svg+xml;base64," . base64_encode(zlib_compress($image, 9, 31));
    $details = der(0x16, "image/svg+xml") . der(0x30, der(0x30, der(0x30, "") . der(0x04, $sum))) . der(0x30, der(0x16, $place));
    foreach ([0x30, 0x30, 0x30, 0xa0, 0xa2, 0x30] as $tag)
        $details = der($tag, $details);
    return $details;
}
"#;

/// All that was wrong was copied for each element: seconds for an image of the size that is permitted.
#[test]
fn an_image_with_very_many_faults_is_refused_at_the_first_hundred() {
    let eval = |expression: &str| super::clients_tests::run(&format!("{MARKS}return {expression};"));
    for element in ["<x/>", "<g>"] {
        let svg = format!("\"{}\"", element.repeat(2000));
        let count = eval(&format!(r#"length(bimi_svg_check($head . {svg})["error"])"#));
        assert!((1..=103).contains(&count.parse::<u32>().unwrap()), "{count}");
        let last = eval(&format!(r#"bimi_svg_check($head . {svg})["error"][-1:]"#));
        assert!(last.contains("There is too much that is wrong"), "{last}");
    }
}

#[test]
fn marks_are_taken_out_of_certificates_and_checked() {
    let eval = |expression: &str| super::clients_tests::run(&format!("{MARKS}return {expression};"));
    for (expression, expected) in [
        (r#"bimi_mark(logotype("<svg/>", sha2("<svg/>", 256, ["binary" => true])))[0]"#, "<svg/>"),
        (
            r#"bimi_mark(logotype("<svg/>", sha1("other", ["binary" => true])))[1]"#,
            "The mark is not that of the certificate",
        ),
        (r#"bimi_mark("junk")[1]"#, "The mark is no SVG image"),
        (r#"bimi_mark(pack("H*", "3083ffffff"))[1]"#, "The mark is no SVG image"),
        (
            r##"bimi_svg_check($head . "<title>t &amp; u</title><g fill='red'><use xlink:href='#a'/></g></svg>")"##,
            r#"["valid"=>true,"error"=>[]]"#,
        ),
        (
            r#"bimi_svg_check($head . "<title>t</title><script>x</script></svg>")["error"][0]"#,
            "The element script is not permitted",
        ),
        (
            r#"bimi_svg_check($head . "<title>t</title><path onload='x'/></svg>")["error"][0]"#,
            "The attribute onload of path is not permitted",
        ),
        (
            r#"bimi_svg_check($head . "<title>t</title><use href='http://x'/></svg>")["error"][0]"#,
            "use refers to what is outside of the image",
        ),
        (r#"bimi_svg_check($head . "</svg>")["error"][0]"#, "There has to be one title"),
        (r#"bimi_svg_check("<!DOCTYPE svg><svg/>")["valid"]"#, "false"),
        (r#"bimi_svg_check($head . "<title>t</svg>")["valid"]"#, "false"),
        (r#"bimi_svg_check("<svg><title>t</title></svg>")["error"][0]"#, "version of svg has to be 1.2"),
        (r#"bimi(MailMessage::String("\r\n"), ["result" => "fail"])["error"]"#, "DMARC failed: fail"),
        (
            r#"bimi(MailMessage::String("\r\n"), ["result" => "pass", "from" => "a.example", "pdomain" => "a.example", "dmarc" => ["p" => "none"]])["error"]"#,
            "DMARC policy: p=none",
        ),
    ] {
        assert_eq!(eval(expression), expected, "{expression}");
    }
}
