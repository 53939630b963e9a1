use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::*;
use crate::testing::{alone, on_a_shard, on_shards};
use crate::time::sleep;
use crate::{mesh, signal, task, time};

#[test]
fn this_machine_can_run_it() {
    assert_eq!(probe(3), Ok(()));
}

#[test]
fn every_thread_knows_who_it_is_and_runs_its_root_once() {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = ran.clone();
    on_shards(3, move |id| {
        let count = count.clone();
        async move {
            assert_eq!((current(), shards(), control()), (id, 3, ShardId(3)));
            assert_eq!(is_control(), id == ShardId(3));
            count.fetch_add(1 << (8 * id.0), Ordering::SeqCst);
        }
    });
    assert_eq!(ran.load(Ordering::SeqCst), 2 * 0x0101_0101, "once on each driver");
    assert!(!is_control(), "outside of the engine");
}

#[test]
fn shards_are_pinned_when_asked() {
    let options =
        Options { shards: default_shards(), pin: true, driver: DriverChoice::Auto, signals: Vec::new() };
    run(options, |id| async move {
        let cpus = cpus::allowed();
        if id != control() {
            assert_eq!(cpus.len(), 1);
        }
    })
    .expect("runs");
}

#[test]
fn shards_on_one_core_share_it() {
    // More shards than CPUs, unpinned, all at work.
    on_shards(4, |id| async move {
        for n in 0..200u32 {
            let other = ShardId((id.0 + 1) % 4);
            match mesh::call(other, move || n).await {
                Ok(value) => assert_eq!(value, n),
                Err(error) => assert_eq!(error, mesh::MeshError::Gone),
            }
            sleep(Duration::from_micros(1)).await;
        }
    });
}

#[test]
fn the_other_tasks_of_a_thread_run_on_until_all_roots_have_ended() {
    let done = Arc::new(AtomicUsize::new(0));
    let count = done.clone();
    on_shards(2, move |id| {
        let count = count.clone();
        async move {
            match id.0 {
                0 => drop(task::spawn(task::Class::Interactive, async move {
                    sleep(Duration::from_millis(20)).await;
                    count.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                })),
                _ => sleep(Duration::from_millis(200)).await,
            }
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), 2, "once on each driver");
}

#[test]
fn it_starts_again_after_it_has_ended() {
    for _ in 0..20 {
        on_a_shard(|| async { task::yield_now().await });
    }
}

#[test]
fn signals_arrive_on_the_control_thread() {
    alone("boot::tests::signals_arrive_on_the_control_thread", || {
        for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
            let signals = vec![libc::SIGTERM, libc::SIGHUP];
            let options = Options { shards: 1, pin: false, driver, signals };
            run(options, |id| async move {
                if id == control() {
                    // To this thread: others of the test program do not block it. The first comes before anyone waits.
                    // SAFETY: no pointers.
                    unsafe { libc::raise(libc::SIGHUP) };
                    sleep(Duration::from_millis(10)).await;
                    assert_eq!(signal::next().await, libc::SIGHUP);
                    assert!(time::timeout(Duration::from_millis(20), signal::next()).await.is_err());
                    let sender = task::spawn(task::Class::Interactive, async {
                        sleep(Duration::from_millis(10)).await;
                        // SAFETY: no pointers.
                        unsafe { libc::raise(libc::SIGTERM) };
                    });
                    assert_eq!(signal::next().await, libc::SIGTERM);
                    sender.await;
                }
            })
            .expect("runs");
        }
    });
}

#[test]
fn a_panic_on_a_shard_aborts_the_process() {
    const MARK: &str = "ENGINE_TEST_PANIC";
    if std::env::var_os(MARK).is_some() {
        on_a_shard(|| async { panic!("on purpose") });
        return;
    }
    let program = std::env::current_exe().expect("known");
    let mut command = std::process::Command::new(program);
    let test = "boot::tests::a_panic_on_a_shard_aborts_the_process";
    let output = command.args(["--exact", test, "--nocapture"]).env(MARK, "1").output().expect("starts");
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
    assert!(String::from_utf8_lossy(&output.stderr).contains("on purpose"));
}

#[test]
fn randomness_differs_between_shards_and_starts() {
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    for _ in 0..2 {
        let keep = seen.clone();
        on_shards(2, move |_| {
            let keep = keep.clone();
            async move { keep.lock().expect("no panic").push(crate::rng::u64()) }
        });
    }
    let mut seen = std::mem::take(&mut *seen.lock().expect("no panic"));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 12, "two starts on two drivers");
}
