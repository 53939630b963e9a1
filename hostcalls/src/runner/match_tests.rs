//! Matches that take too long for a shard come to the same, on another thread.

use crate::Settings;
use crate::on_engine::{on_a_shard, result};

/// `$long` is for another thread with each pattern here.
const CASES: &[(&str, &str)] = &[
    (
        r#"return [$long =~ "/(a+)+c/", $long !~ "/(a+)+c/", "x$long" =~ #/(a+)+b/, $long !~ #/(a+)+b/];"#,
        "[0=>false,1=>true,2=>true,3=>false]",
    ),
    (
        r#"if ($long =~ "/(a+)+c/") return "found"; else if ($long =~ "/(a+)+b/") return "b"; return "nothing";"#,
        "b",
    ),
    (
        r#"return length(array_filter(function ($text) { return $text =~ "/(a+)+b/"; }, [$long, "x$long", "a"]));"#,
        "2",
    ),
    (r#"return pcre_match("/(?<as>a+)+b/", $long);"#, r#"[0=>"ab",1=>"a","as"=>"a"]"#),
    (r#"return length(pcre_match_all("/(a+)+b/", $long)[1]);"#, "5000"),
    (r#"return md5(pcre_replace("/(a+)+b/", "<$1>", $long)) == md5(str_repeat("<a>.", 5000));"#, "true"),
    (
        r#"try { return pcre_match("/((?:a|aa)+)+$/", str_repeat("a", 5000) . "b."); } catch ($e) { return $e->toString() =~ "/gave up/"; }"#,
        "true",
    ),
    (
        r#"$mail = MailMessage::String("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; name=\"" . $long
        . "\"\r\n\r\n1\r\n--x\r\nContent-Type: text/html; name=other\r\n\r\n2\r\n--x--\r\n");
      return [length($mail->findByFileName(#/(a+)+b/)), length($mail->findByFileName(#/other/)), length($mail->findByType(#/text/))];"#,
        "[0=>1,1=>1,2=>2]",
    ),
];

#[test]
fn matches_that_take_long_come_to_what_they_would() {
    on_a_shard(Settings::default(), move |environment| async move {
        for (script, expected) in CASES {
            let source = format!("$long = str_repeat(\"ab.\", 5000);\n{script}");
            assert_eq!(result(&environment, &source).await, *expected, "{script}");
        }
    });
}
