//! What a message makes long runs on another thread, and gives what it would have given here.

use script::compile::{CompileOptions, NoLoader, SourceText, compile};
use script::fault::Fault;
use script::host::PendingCall;
use script::machine::{Context, Limits, Loaded, Run};
use script::native::{Surroundings, run_offloaded};
use script::value::Value;

use crate::library;
use crate::testing::TestHost;

/// The text of what a script returns, and what of it ran on another thread.
fn run(script: &str) -> (String, Vec<&'static str>) {
    run_within(Limits::default(), |_| true, script)
}

/// The same; what `has_room` says no to finds no thread.
fn run_within(limits: Limits, has_room: fn(&str) -> bool, script: &str) -> (String, Vec<&'static str>) {
    let main = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
    let compiled = compile(main, &mut NoLoader, &library(), &CompileOptions::default());
    let compiled = compiled.unwrap_or_else(|failed| panic!("{script}: {:?}", failed.all));
    let mut host = TestHost::new(1_700_000_000.25);
    let mut context = Context::new(&Loaded::new(&compiled.program), limits);
    let mut elsewhere = Vec::new();
    loop {
        match context.run(&mut host, u32::MAX) {
            Run::Pending(PendingCall::Offload { native, .. }) if !has_room(native.name) => {
                context.resume(Err(Fault::error("there is no room")));
            }
            Run::Pending(PendingCall::Offload { native, this, args }) => {
                elsewhere.push(native.name);
                let timezone = jiff::tz::TimeZone::UTC;
                let surroundings =
                    Surroundings { now: 1_700_000_000.25, seed: [7; 32], monotonic: || 0.0, timezone };
                let result = run_offloaded(native, this, args, surroundings);
                context.resume(result.map(|value| Value::from_frozen(&value)).map_err(Fault::from));
            }
            Run::OutOfBudget => {}
            Run::Done(value) => return (value.to_text().unwrap().to_string_lossy().into_owned(), elsewhere),
            Run::Failed(error) => return (format!("failed: {}", error.message), elsewhere),
            other => panic!("{script}: {other:?}"),
        }
    }
}

const FIELDS: &str = r#"$m = MailMessage::String(str_repeat("A: b\r\n", 5000) . "Subject: x\r\nContent-Type: text/plain; name=n\r\n\r\nbody");"#;
const PARTS: &str = r#"$m = MailMessage::String("Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    . str_repeat("--b\r\nContent-Type: text/x; name=n\r\n\r\nx\r\n", 9000) . "--b--\r\n");"#;
const FEW: &str =
    r#"$m = MailMessage::String("A: b\r\nSubject: x\r\nContent-Type: text/plain; name=n\r\n\r\nbody");"#;

#[test]
fn a_header_of_many_fields_is_read_and_changed_on_another_thread() {
    for (code, result, elsewhere) in [
        (r#"$m->getHeader("subject")"#, "x", "getHeader"),
        (r#"length($m->getHeaders("a"))"#, "5000", "getHeaders"),
        (r#"length($m->getHeaderNames())"#, "5002", "getHeaderNames"),
        (r#"$m->getType()"#, "text/plain", "getType"),
        (r#"$m->getFileName()"#, "n", "getFileName"),
        (r#"$m->getTypeParameter("name")"#, "n", "getTypeParameter"),
        (r#"$m->setHeader("a", "c") . $m->toString()[0:6]"#, "5000a: c\r\n", "setHeader toString free"),
        (r#"$m->delHeader("a") . $m->toString()[0:10]"#, "5000Subject: x", "delHeader toString free"),
        (r#"$m->renameHeader("a", "b") . $m->toString()[0:6]"#, "5000b: b\r\n", "renameHeader toString free"),
        (
            r#"$m->delHeader("a") . " " . $m->reset() . " " . $m->delHeader("a")"#,
            "5000 1 5000",
            "delHeader reset free delHeader",
        ),
        (r#"($m->appendPart(MIME()->setBody("x")) === $m)"#, "true", "appendPart"),
    ] {
        let code = format!("{FIELDS} return {code};");
        let (found, ran) = run(&code);
        assert_eq!(found, result, "{code}");
        let expected: Vec<_> = elsewhere.split_whitespace().collect();
        // Whether a message is written elsewhere depends on all of its bytes, whether it is freed there on its changes.
        let ran: Vec<_> = ran.into_iter().filter(|name| expected.contains(name)).collect();
        let expected: Vec<_> = expected
            .into_iter()
            .filter(|name| *name != "toString" && *name != "free" || ran.contains(name))
            .collect();
        assert_eq!(ran, expected, "{code}");
    }
}

#[test]
fn the_parts_of_a_message_with_many_are_found_on_another_thread() {
    for (code, result, elsewhere) in [
        (r#"$m->getSize() . " " . $m->getID()"#, "360052 0", "getSize"),
        (r#"length($m->getParts()) . " " . $m->getSize()"#, "9000 360052", "look"),
        (r#"$m->getByID("0.8999")->getType()"#, "text/x", "look"),
        (r#"length($m->findByType("text/.*"))"#, "9000", "look find"),
        (r#"length($m->findByFileName("nothing"))"#, "0", "look find"),
        (r#"length($m->getErrors())"#, "0", "getErrors"),
        (r#"($m->setPreamble("x") === $m)"#, "true", "setPreamble"),
        (r#"$m->setDateLater()"#, "1", "setDateLater"),
        (r#"($m->setBody("x") === $m) . $m->reset()"#, "true1", "look"),
        (r#"$m->setBody(str_repeat("x", 60000))->reset()"#, "1", "look setBody"),
    ] {
        let code = format!("{PARTS} return {code};");
        let (found, ran) = run(&code);
        assert_eq!((found.as_str(), ran.join(" ").as_str()), (result, elsewhere), "{code}");
    }
}

#[test]
fn what_takes_little_stays_on_the_shard() {
    for code in [
        r#"$m->getHeader("subject") . $m->getType() . $m->getFileName() . length($m->getHeaderNames())"#,
        r#"$m->setHeader("a", "c") . $m->setHeader("b", "é") . $m->delHeader("a") . $m->reset()"#,
        r#"$m->getSize() . $m->getID() . length($m->getParts()) . length($m->findByType("x")) . $m->getBody()"#,
        r#"$m->appendPart(MIME()->setBody("x"))->toString() . $m->restore(1) . length([$m->setPreamble("x")])"#,
        r#"MIME()->addHeader("a", "b")->appendPart($m)->toString() . Iconv("UTF-8", "UTF-16")->convert("x")"#,
    ] {
        let code = format!("{FEW} return {code};");
        assert_eq!(run(&code).1, [""; 0], "{code}");
    }
}

#[test]
fn objects_keep_what_was_changed_on_another_thread() {
    for (code, result, elsewhere) in [
        (
            r#"$m = MIME(); $n = $m->addHeader("X", str_repeat("a ", 20000)); return [$m === $n, length($m->toString()) > 40000];"#,
            "[0=>true,1=>true]",
            "addHeader toString",
        ),
        (
            r#"$i = Iconv("UTF-8", "US-ASCII"); return [$i->convert(str_repeat("é", 10000)), $i->errno()];"#,
            "[0=>none,1=>84]",
            "convert",
        ),
        (
            r#"return length(Iconv("UTF-8", "UTF-16LE")->convert(str_repeat("é", 10000)));"#,
            "20000",
            "convert",
        ),
        (
            r#"$m = MIME()->setType("multipart/mixed")->appendPart(MIME()->setBody(str_repeat("a", 20000)));
            return length(MailMessage::String($m->toString())->getParts());"#,
            "1",
            "appendPart toString",
        ),
        (
            r#"$m = MailMessage::String("A: b\r\n\r\nx"); $m->addHeader("B", str_repeat("é", 1000)); $m->addHeader("C", "c");
            return $m->snapshot() . " " . $m->reset();"#,
            "1 2",
            "addHeader",
        ),
    ] {
        let (found, ran) = run(code);
        assert_eq!((found.as_str(), ran.join(" ").as_str()), (result, elsewhere), "{code}");
    }
}

#[test]
fn what_does_not_come_back_from_another_thread_leaves_the_object_as_it_was() {
    let nobody = |name: &str| name != "delHeader" && name != "addHeader";
    for (code, result) in [
        (r#"try { $m->delHeader("a"); } catch ($e) { } return length($m->toString());"#, "30052"),
        (
            r#"$m->setHeader("Subject", "y"); $s = $m->snapshot();
            try { $m->delHeader("a"); } catch ($e) { } return [$m->snapshot() === $s, $m->reset()];"#,
            "[0=>true,1=>1]",
        ),
        (
            r#"$b = MIME()->setBody("x"); $s = $b->toString();
            try { $b->addHeader("X", str_repeat("a ", 20000)); } catch ($e) { } return $b->toString() === $s;"#,
            "true",
        ),
    ] {
        let code = format!("{FIELDS} {code}");
        assert_eq!(run_within(Limits::default(), nobody, &code).0, result, "{code}");
    }
}

#[test]
fn a_change_on_another_thread_shows_in_all_parts_and_in_those_found_before() {
    let code = format!(
        r#"{PARTS} $p = $m->getParts()[0]; $q = $m->getByID("0.0");
        $p->setHeader("X", str_repeat("é", 1000)); $m->addHeader("Y", "z");
        $s = $m->toString();
        return [$q->delHeader("Content-Type"), str_find($s, "Y: z") !== -1, str_find($s, "=?") !== -1, $m->reset()];"#
    );
    assert_eq!(run(&code).0, "[0=>1,1=>true,2=>true,3=>3]");
}

#[test]
fn what_only_reads_a_message_of_many_changes_frees_nothing() {
    let code = format!(r#"{FIELDS} $m->delHeader("a"); $m->getHeader("b"); return $m->getType();"#);
    assert_eq!(run(&code).1, ["delHeader", "getHeader", "getType"]);
}

#[test]
fn objects_that_grow_on_another_thread_count_against_the_memory_limit() {
    let limits = Limits { memory_bytes: 1 << 20, ..Limits::default() };
    let script =
        r#"$m = MIME(); $v = str_repeat("a ", 20000); for ($i = 0; $i < 200; $i++) $m->addHeader("X", $v);"#;
    let (found, _) = run_within(limits, |_| true, script);
    assert!(found.starts_with("failed: ") && found.contains("memory"), "{found}");
}
