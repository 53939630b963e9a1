use std::cell::Cell;
use std::time::Duration;

use engine::task::{Class, spawn};
use engine::time::sleep;
use script::native::{Call, Native};
use script::value::{Array, Value};

use super::*;
use crate::on_engine::{array, call, function, list, on_a_shard, on_shards, text};
use crate::{Execution, Settings};

fn values(values: &[&str]) -> Vec<Value> {
    values.iter().map(|value| Value::from(*value)).collect()
}

/// Gives its last argument.
static LAST: Native = Native::inline("last", "", (0, None), "", |call: &mut Call<'_>| {
    Ok(call.args().last().cloned().unwrap_or_default())
});
static FAILS: Native =
    Native::inline("fails", "", (0, None), "", |call: &mut Call<'_>| Err(call.error("on purpose")));
/// Gives the sum of all but the first.
static SUM: Native = Native::inline("sum", "", (0, None), "", |call: &mut Call<'_>| {
    Ok(call.args().iter().skip(1).filter_map(Value::as_number).sum::<f64>().into())
});

#[test]
fn keys_are_stored_counted_and_removed() {
    on_a_shard(Settings::default(), |environment| async move {
        let execution = Execution::begin(&environment);
        let run = async |name: &str, args: Vec<Value>| text(&call(&execution, name, &args).await.unwrap());
        assert_eq!(run("memory_inc", values(&["tv-key"])).await, "1");
        assert_eq!(run("memory_inc", vec!["tv-key".into(), 5.into()]).await, "6");
        assert_eq!(run("memory_dec", vec!["tv-key".into(), 6.into(), true.into()]).await, "0");
        assert_eq!(run("memory_exists", values(&["tv-key"])).await, "false");
        assert_eq!(run("memory_add", vec!["tv-a".into(), 1.into()]).await, "true");
        assert_eq!(run("memory_add", vec!["tv-a".into(), 2.into()]).await, "false");
        assert_eq!(run("memory_fetch", values(&["tv-a"])).await, "1");
        assert_eq!(run("memory_fetch", vec!["tv-missing".into(), function(&LAST)]).await, "tv-missing");
        assert!(call(&execution, "memory_fetch", &values(&["tv-missing"])).await.unwrap().is_none());
        assert_eq!(run("memory_store", vec!["s".into(), list([1.into(), "x".into()])]).await, "false");
        assert_eq!(run("memory_store", vec!["s".into(), "y".into(), function(&LAST)]).await, "true");
        assert_eq!(run("memory_fetch", values(&["s"])).await, "y");
        assert!(call(&execution, "memory_inc", &values(&["s"])).await.unwrap().is_none());
        let update = |key: &str, initial: Option<f64>| {
            let mut args = vec![key.into(), 2.into(), function(&SUM)];
            args.extend(initial.map(Value::from));
            args
        };
        assert_eq!(run("memory_update", update("tv-a", None)).await, "true");
        assert_eq!(run("memory_fetch", values(&["tv-a"])).await, "3");
        assert_eq!(run("memory_update", update("n", None)).await, "false");
        assert_eq!(run("memory_exists", values(&["n"])).await, "false");
        assert_eq!(run("memory_update", update("n", Some(10.0))).await, "false");
        assert_eq!(run("memory_fetch", values(&["n"])).await, "12");
        assert_eq!(run("memory_delete", vec!["n".into(), function(&LAST)]).await, "true");
        assert_eq!(run("memory_delete", values(&["n"])).await, "false");
        // What cannot be shared is refused before anything happens.
        let refused = call(&execution, "memory_store", &["s".into(), function(&LAST)]).await;
        assert!(refused.unwrap_err().to_string().contains("function"));
        assert_eq!(run("memory_fetch", values(&["s"])).await, "y");
        assert_eq!(memory_usage().await.unwrap().0, 2);
    });
}

#[test]
fn a_callback_that_fails_leaves_no_lock_behind() {
    on_a_shard(Settings::default(), |environment| async move {
        let (one, two) = (Execution::begin(&environment), Execution::begin(&environment));
        call(&one, "memory_store", &values(&["k", "v"])).await.unwrap();
        for name in ["memory_delete", "memory_exists"] {
            assert!(call(&one, name, &["k".into(), function(&FAILS)]).await.is_err());
        }
        assert!(Store::here().locks.borrow().is_empty());
        assert_eq!(text(&call(&two, "memory_fetch", &values(&["k"])).await.unwrap()), "v");
    });
}

#[test]
fn a_barrier_excludes_others_and_its_owner_may_enter_again() {
    on_a_shard(Settings::default(), |environment| async move {
        let one = Execution::begin(&environment);
        let entered = call(&one, "__barrier_enter", &values(&["b"])).await.unwrap();
        assert!(matches!(entered, Value::Undefined));
        call(&one, "__barrier_enter", &values(&["b"])).await.unwrap();
        let waited = Rc::new(Cell::new(false));
        let other = spawn(Class::Interactive, {
            let (environment, waited) = (environment.clone(), waited.clone());
            async move {
                let two = Execution::begin(&environment);
                // The functions of shared memory wait for it, too.
                let value = call(&two, "memory_inc", &values(&["b"])).await.unwrap();
                assert!(waited.get());
                text(&value)
            }
        });
        call(&one, "__barrier_leave", &values(&["b"])).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        waited.set(true);
        call(&one, "__barrier_leave", &["b".into(), 41.into()]).await.unwrap();
        assert_eq!(other.await.unwrap(), "42");
        assert!(call(&one, "__barrier_leave", &values(&["b"])).await.is_err());
        assert!(Store::here().locks.borrow().is_empty());
    });
}

#[test]
fn who_ends_inside_a_barrier_lets_the_next_one_in() {
    on_a_shard(Settings::default(), |environment| async move {
        let one = Execution::begin(&environment);
        call(&one, "__barrier_enter", &values(&["b"])).await.unwrap();
        let next = {
            let environment = environment.clone();
            spawn(Class::Interactive, async move {
                let two = Execution::begin(&environment);
                call(&two, "__barrier_enter", &values(&["b"])).await.map(drop).is_ok()
            })
        };
        let gone = {
            let environment = environment.clone();
            spawn(Class::Interactive, async move {
                let three = Execution::begin(&environment);
                let enter = call(&three, "__barrier_enter", &[Value::from("b")]);
                // It gives up while it waits.
                let _ = engine::time::timeout(Duration::from_millis(5), enter).await;
            })
        };
        gone.await.unwrap();
        drop(one);
        assert_eq!(next.await, Some(true));
        sleep(Duration::from_millis(5)).await;
        assert!(Store::here().locks.borrow().is_empty());
        assert!(Store::here().waiting.borrow().is_empty());
    });
}

#[test]
fn scripts_that_wait_for_each_other_are_told_so() {
    on_shards(3, Settings::default(), |environment, shard| async move {
        // Each shard holds one and wants the next one's.
        let execution = Execution::begin(&environment);
        let (mine, other) = (format!("lock {}", shard.0), format!("lock {}", (shard.0 + 1) % 3));
        call(&execution, "__barrier_enter", &values(&[&mine])).await.unwrap();
        sleep(Duration::from_millis(30)).await;
        let entered = call(&execution, "__barrier_enter", &values(&[&other])).await;
        if let Err(fault) = &entered {
            assert!(fault.is_catchable() && fault.to_string().contains("deadlock"), "{fault}");
            // The circle is open once this one gives way.
            call(&execution, "__barrier_leave", &values(&[&mine])).await.unwrap();
            let key = "victims".into();
            call(&execution, "memory_inc", &[key]).await.unwrap();
        }
        drop(execution);
        let execution = Execution::begin(&environment);
        call(&execution, "memory_inc", &values(&["done"])).await.unwrap();
        let number = async |key: &str| {
            call(&execution, "memory_fetch", &values(&[key])).await.unwrap().as_number().unwrap_or(0.0)
        };
        while number("done").await < 3.0 {
            sleep(Duration::from_millis(5)).await;
        }
        let victims = number("victims").await;
        assert!((1.0..=3.0).contains(&victims), "{victims}");
    });
}

#[test]
fn counting_on_all_shards_loses_nothing() {
    on_shards(4, Settings::default(), |environment, _| async move {
        let execution = Execution::begin(&environment);
        for round in 0..100 {
            let key = format!("n{}", round % 10);
            call(&execution, "memory_inc", &values(&[&key])).await.unwrap();
            // Read, then written: right only under the lock.
            let update = ["sum".into(), 1.into(), function(&SUM), 0.into()];
            call(&execution, "memory_update", &update).await.unwrap();
        }
        call(&execution, "memory_inc", &values(&["done"])).await.unwrap();
        let number = async |key: &str| {
            call(&execution, "memory_fetch", &values(&[key])).await.unwrap().as_number().unwrap_or(0.0)
        };
        while number("done").await < 4.0 {
            sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(number("sum").await, 400.0);
        for key in 0..10 {
            assert_eq!(number(&format!("n{key}")).await, 40.0);
        }
    });
}

// ---- cache

/// Counts its calls in shared memory, slowly.
static SLOW: Native = Native {
    name: "memory_inc",
    params: "",
    doc: "",
    min_args: 0,
    max_args: None,
    run: script::native::NativeRun::Host(crate::numbers::STORE + 1),
};

async fn cached(execution: &Rc<Execution>, options: Value, args: &[Value]) -> Result<Value, Fault> {
    let args = vec![options, function(&SLOW), "f".into(), args.to_vec().into()];
    call(execution, "__cache", &args).await
}

#[test]
fn a_result_is_computed_once_for_the_same_arguments() {
    on_a_shard(Settings::default(), |environment| async move {
        let execution = Execution::begin(&environment);
        let get = async |options: &[(&str, Value)], args: &[Value]| {
            text(&cached(&execution, array(options), args).await.unwrap())
        };
        assert_eq!(get(&[], &values(&["a"])).await, "1");
        assert_eq!(get(&[], &values(&["a"])).await, "1");
        assert_eq!(get(&[], &["a".into(), 1.into()]).await, "2");
        assert_eq!(get(&[("argv_filter", list([1.into()]))], &["a".into(), 9.into()]).await, "1");
        assert_eq!(get(&[("namespace", "other".into())], &values(&["a"])).await, "3");
        assert_eq!(get(&[("force", true.into())], &values(&["a"])).await, "4");
        assert_eq!(get(&[], &values(&["a"])).await, "4");
        // What is not stored, for its lifetime or the override of it.
        assert_eq!(get(&[("ttl", 0.into())], &values(&["b"])).await, "1");
        assert_eq!(
            get(&[("ttl_override", list([Value::None, 9.into(), 0.into()]))], &values(&["b"])).await,
            "2"
        );
        assert_eq!(get(&[("ttl_function", function(&LAST))], &values(&["b"])).await, "3");
        assert_eq!(get(&[], &values(&["b"])).await, "3");
        let update = [("force", true.into()), ("update_function", function(&SUM))];
        assert_eq!(get(&update, &values(&["b"])).await, "4");
        // With the message: its own, and gone with it.
        assert_eq!(get(&[("per_message", true.into())], &values(&["a"])).await, "5");
        assert_eq!(get(&[("per_message", true.into())], &values(&["a"])).await, "5");
        let other = Execution::begin(&environment);
        let own = cached(&other, array(&[("per_message", true.into())]), &values(&["a"])).await;
        assert_eq!(text(&own.unwrap()), "6");

        let statistics = statistics().await.unwrap();
        let f = &statistics[0];
        assert_eq!((&*f.name.function, f.entries, f.size), (&b"f"[..], 3, 32));
        assert!(f.hits >= 3 && f.misses >= 5, "{f:?}");
        assert_eq!(flush(b"other").await.unwrap(), 1);
        assert!(Store::here().locks.borrow().is_empty());
    });
}

/// Takes its time.
static SLEEPS: Native = Native {
    name: "sleep",
    params: "",
    doc: "",
    min_args: 1,
    max_args: None,
    run: script::native::NativeRun::Host(crate::numbers::TIME),
};

#[test]
fn a_miss_is_computed_by_one_while_the_others_wait() {
    on_shards(2, Settings::default(), |environment, _| async move {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let environment = environment.clone();
                spawn(Class::Interactive, async move {
                    let execution = Execution::begin(&environment);
                    let arguments = Value::from(vec![Value::from(0.05)]);
                    let args = [Array::new().into(), function(&SLEEPS), "sleep".into(), arguments];
                    call(&execution, "__cache", &args).await.unwrap().as_number().unwrap()
                })
            })
            .collect();
        let execution = Execution::begin(&environment);
        for task in tasks {
            let slept = task.await.unwrap();
            // All see the same result: the time that one of them slept.
            let key = format!("slept {slept}");
            call(&execution, "memory_inc", &values(&[&key])).await.unwrap();
            let (keys, _) = memory_usage().await.unwrap();
            assert!(keys <= 2, "more than one has slept");
        }
        call(&execution, "memory_inc", &values(&["done"])).await.unwrap();
        let number = async |key: &str| {
            call(&execution, "memory_fetch", &values(&[key])).await.unwrap().as_number().unwrap_or(0.0)
        };
        while number("done").await < 2.0 {
            sleep(Duration::from_millis(2)).await;
        }
        assert!(Store::here().waiting.borrow().is_empty());
    });
}

#[test]
fn a_failure_is_not_cached_and_the_next_one_computes() {
    on_a_shard(Settings::default(), |environment| async move {
        let execution = Execution::begin(&environment);
        let args = |native| [Array::new().into(), function(native), "f".into(), values(&["k"]).into()];
        assert!(call(&execution, "__cache", &args(&FAILS)).await.is_err());
        assert!(Store::here().locks.borrow().is_empty());
        assert_eq!(text(&call(&execution, "__cache", &args(&LAST)).await.unwrap()), "k");
        // What cannot be stored says so, and is not in the way either.
        let refused = [Array::new().into(), function(&LAST), "g".into(), vec![function(&LAST)].into()];
        assert!(call(&execution, "__cache", &refused).await.unwrap_err().to_string().contains("function"));
        assert!(Store::here().locks.borrow().is_empty());
    });
}

#[test]
fn scripts_that_hold_locks_when_all_shards_stop_do_no_harm() {
    on_shards(2, Settings::default(), |environment, _| async move {
        for number in 0..4 {
            let environment = environment.clone();
            drop(spawn(Class::Interactive, async move {
                let execution = Execution::begin(&environment);
                let name = format!("lock {}", number % 2);
                // One holds it, the others wait, until the shards stop.
                let _ = call(&execution, "__barrier_enter", &values(&[&name])).await;
                std::future::pending::<()>().await;
            }));
        }
        sleep(Duration::from_millis(20)).await;
        assert!(!Store::here().waiting.borrow().is_empty());
    });
}
