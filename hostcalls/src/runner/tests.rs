#![allow(clippy::disallowed_methods, reason = "the files of a test are no part of the engine")]

use std::time::Duration;

use engine::task::{Class, spawn};
use script::machine::Limits;

use super::*;
use crate::Settings;
use crate::on_engine::{load, on_a_shard, on_shards, outcome, result};

#[test]
fn vectors_of_the_reference() {
    // hsl-stdlib section 31, with the number of the vector.
    let cases = [
        ("V102", r#"return File::String("a\r\nb")->readline();"#, "a"),
        ("V103", r#"return File::String("abc")->seek(0, "SEEK_END");"#, "3"),
        ("V104", r#"$f = File::String("x"); $f->read(); return "<" . $f->read(10) . ">";"#, "<>"),
        ("V109", r#"$a = memory_inc("tv-key"); return $a . "," . memory_inc("tv-key", 5);"#, "1,6"),
        ("V110", r#"$a = memory_add("tv-a", 1); return [$a, memory_add("tv-a", 1)];"#, "[0=>true,1=>false]"),
        ("V111", r#"return memory_fetch("tv-missing", function ($k) { return $k; });"#, "tv-missing"),
    ];
    on_a_shard(Settings::default(), move |environment| async move {
        for (id, source, expected) in cases {
            assert_eq!(result(&environment, source).await, expected, "{id}");
        }
    });
}

#[test]
fn statements_over_the_store_run() {
    let cases = [
        // The result is computed once; arguments are told apart.
        (
            r#"function f($x) { return $x . memory_inc("calls"); }
               $a = cache ["ttl" => 10] f("a"); $b = cache ["ttl" => 10] f("a"); $c = cache ["ttl" => 10] f("b");
               return [$a, $b, $c];"#,
            r#"[0=>"a1",1=>"a1",2=>"b2"]"#,
        ),
        (
            r#"function count() {
                   barrier "seq" => $next { $next = (isset($next) ? $next : 0) + 1; $mine = $next; }
                   return $mine;
               }
               count(); count(); return count() . memory_fetch("seq");"#,
            "33",
        ),
        // The documented pattern: fetch, or create under the lock.
        (
            r#"return memory_fetch("made", function ($key) { memory_store($key, "new"); return memory_fetch($key); });"#,
            "new",
        ),
        (
            r#"memory_store("n", 1); memory_update("n", 5, function ($k, $old, $new) { return $old + $new; });
               return memory_fetch("n");"#,
            "6",
        ),
        // An error inside leaves no lock behind, and is caught as any other.
        (
            r#"try { barrier "b" { throw "x"; } } catch ($e) { }
               try { memory_exists("n", function ($k, $v) { throw "y"; }); } catch ($e) { }
               try { cache [] sleep("z"); } catch ($e) { }
               return "on";"#,
            "on",
        ),
    ];
    on_a_shard(Settings::default(), move |environment| async move {
        for (source, expected) in cases {
            assert_eq!(result(&environment, source).await, expected, "{source}");
        }
        assert_eq!(result(&environment, r#"barrier "b" { return "in again"; }"#).await, "in again");
        assert_eq!(result(&environment, r#"barrier "b" { return "and again"; }"#).await, "and again");
    });
}

#[test]
fn a_script_that_does_not_end_is_ended_and_others_run_meanwhile() {
    let settings = Settings { wall_clock: Duration::from_millis(300), ..Settings::default() };
    on_a_shard(settings, |environment| async move {
        let endless: Vec<_> = ["while (true) {}", "sleep(100);", r#"barrier "x" { sleep(100); }"#]
            .map(|source| {
                let environment = environment.clone();
                spawn(Class::Interactive, async move {
                    let source = format!("try {{ {source} }} catch ($e) {{ return 1; }}");
                    match outcome(&environment, &source).await {
                        Outcome::Failed(error) => assert_eq!(error.limit, Some(Limit::Time)),
                        other => panic!("{source}: {other:?}"),
                    }
                })
            })
            .into();
        let mut rounds = 0;
        while endless.iter().any(|task| !task.is_finished()) {
            assert_eq!(result(&environment, "return 1 + 1;").await, "2");
            engine::time::sleep(Duration::from_millis(1)).await;
            rounds += 1;
        }
        assert!(rounds > 3, "{rounds}");
        // What the third one held is free again.
        assert_eq!(result(&environment, r#"return memory_inc("x");"#).await, "1");
    });
}

#[test]
fn scripts_of_all_shards_take_turns_in_a_barrier() {
    const SCRIPT: &str = r#"
        for ($i = 0; $i < 50; $i += 1) {
            barrier "turn" => $n { $seen = isset($n) ? $n : 0; sleep(0); $n = $seen + 1; }
            memory_inc("count");
        }
        return memory_fetch("turn");"#;
    on_shards(3, Settings::default(), |environment, _| async move {
        result(&environment, SCRIPT).await;
        while result(&environment, r#"return memory_fetch("count");"#).await != "150" {
            engine::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(result(&environment, r#"return memory_fetch("turn");"#).await, "150");
    });
}

#[test]
fn what_takes_long_runs_elsewhere_with_its_errors() {
    on_a_shard(Settings::default(), |environment| async move {
        let hash = result(&environment, r#"return crypt("password", ''$6$saltsalt$'');"#).await;
        assert!(hash.starts_with("$6$saltsalt$"), "{hash}");
        let error = r#"try { json_decode("x" * 1000000, 5); } catch ($e) { return "caught"; }"#;
        assert_eq!(result(&environment, error).await, "caught");
    });
}

#[test]
fn a_run_that_was_dropped_can_be_stopped() {
    on_a_shard(Settings::default(), |environment| async move {
        let source = r#"barrier "held" { sleep(100); }"#;
        let mut context = Context::new(&load(source), Limits::default());
        let execution = Execution::begin(&environment);
        let cut = timeout(Duration::from_millis(20), run(&mut context, &execution)).await;
        assert!(cut.is_err());
        context.stop(Fault::error("interrupted"));
        match run(&mut context, &execution).await {
            Outcome::Failed(error) => assert_eq!(error.message, "interrupted"),
            other => panic!("{other:?}"),
        }
        drop((context, execution));
        assert_eq!(result(&environment, r#"return memory_inc("held");"#).await, "1");
    });
}
