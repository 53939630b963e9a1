use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::testing::{TempDir, on_a_shard};
use crate::time::sleep;
use crate::{boot, shard, stats};

fn written(bytes: &[u8]) -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(bytes.len());
    buf.extend_from_slice(bytes);
    buf
}

const CREATE: OpenOptions =
    OpenOptions { write: true, create: true, exclusive: false, direct: false, mode: 0 };

#[test]
fn what_is_written_durably_is_read_again_direct_and_buffered() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let dir = Dir::open(temp.path()).await.expect("opens");
        for direct in [true, false] {
            let name = format!("segment-{direct}");
            let file = dir.open_file(&name, OpenOptions { direct, ..CREATE }).await.expect("creates");
            assert!(direct || !file.is_direct());
            assert!((1..=4096).contains(&file.alignment()));
            let pages: Vec<u8> = (0..3 * 4096u32).map(|n| (n / 7) as u8).collect();
            let before = stats::of(boot::current()).durable_writes;
            let (result, buf) = file.write_at(4096, written(&pages), Durability::Durable).await;
            result.expect("writes");
            assert_eq!(*buf, *pages);
            assert_eq!(stats::of(boot::current()).durable_writes, before + 1);
            let (result, _) = file.write_at(0, written(&[1; 4096]), Durability::Cached).await;
            result.expect("writes");
            file.sync().await.expect("syncs");
            dir.sync().await.expect("syncs");
            assert_eq!(file.len().await.expect("stats"), 4 * 4096);
            let file =
                dir.open_file(&name, OpenOptions { direct, ..Default::default() }).await.expect("opens");
            assert_eq!(*file.read_at(4096, 3 * 4096).await.expect("reads"), *pages);
            assert_eq!(file.read_at(3 * 4096, 2 * 4096).await.expect("reads").len(), 4096, "up to the end");
            assert!(file.read_at(4 * 4096, 4096).await.expect("reads").is_empty());
            let (result, buf) = file.write_at(0, written(&[0; 4096]), Durability::Durable).await;
            assert!(result.is_err() && buf.len() == 4096, "opened for reading");
        }
    });
}

#[test]
fn overlapping_writes_all_arrive() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let dir = Dir::open(temp.path()).await.expect("opens");
        let file =
            Rc::new(dir.open_file("log", OpenOptions { direct: true, ..CREATE }).await.expect("creates"));
        file.set_len(64 * 4096).await.expect("extends");
        let tasks: Vec<_> = (0..64u8)
            .map(|n| {
                let file = file.clone();
                crate::task::spawn(crate::task::Class::Commit, async move {
                    let buf = written(&[n; 4096]);
                    file.write_at(u64::from(n) * 4096, buf, Durability::Durable).await.0.expect("writes");
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("runs");
        }
        let all = file.read_at(0, 64 * 4096).await.expect("reads");
        assert!(all.iter().enumerate().all(|(at, &byte)| usize::from(byte) == at / 4096));
    });
}

/// What the kernel is given to do by itself says what is wrong like any other write.
#[test]
fn a_direct_write_that_cannot_be_done_says_why() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let dir = Dir::open(temp.path()).await.expect("opens");
        let direct = OpenOptions { direct: true, ..CREATE };
        drop(dir.open_file("log", direct).await.expect("creates"));
        let reader = OpenOptions { write: false, create: false, ..direct };
        let file = dir.open_file("log", reader).await.expect("opens");
        let (result, _) = file.write_at(0, written(&[1; 4096]), Durability::Durable).await;
        assert_eq!(result.expect_err("it is open for reading").raw_os_error(), Some(libc::EBADF));
        let file = dir.open_file("log", direct).await.expect("opens");
        if file.is_direct() {
            let (result, _) = file.write_at(1, written(&[1; 4096]), Durability::Durable).await;
            assert_eq!(result.expect_err("it is not aligned").raw_os_error(), Some(libc::EINVAL));
        }
    });
}

#[test]
fn directories_list_rename_and_remove() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let dir = Dir::create(&temp.path().join("a/b")).await.expect("creates parents");
        assert!(dir.path().ends_with("a/b"));
        Dir::create(&temp.path().join("a/b/c")).await.expect("creates");
        Dir::create(&temp.path().join("a/b/c")).await.expect("exists already");
        let file = dir.open_file("x", CREATE).await.expect("creates");
        file.write_at(0, written(b"12345"), Durability::Cached).await.0.expect("writes");
        let exclusive = OpenOptions { exclusive: true, ..CREATE };
        let error = dir.open_file("x", exclusive).await.expect_err("exists");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        dir.open_file("y", OpenOptions { mode: 0o600, ..exclusive }).await.expect("creates");
        let mode = |name: &str| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::metadata(dir.path().join(name)).expect("exists").permissions().mode() & 0o777
        };
        assert_eq!((mode("x") & 0o600, mode("y")), (0o600, 0o600));
        dir.rename("x", "y").await.expect("replaces");
        let mut entries = dir.list().await.expect("lists");
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let seen: Vec<(&str, bool)> =
            entries.iter().map(|entry| (entry.name.as_str(), entry.is_dir)).collect();
        assert_eq!(seen, [("c", true), ("y", false)]);
        assert_eq!(entries[1].len_bytes, 5);
        dir.remove("y").await.expect("removes");
        assert_eq!(dir.remove("y").await.expect_err("gone").kind(), io::ErrorKind::NotFound);
        assert_eq!(&*file.read_at(0, 10).await.expect("still open"), b"12345");
        file.set_len(2).await.expect("cuts");
        assert_eq!(file.len().await.expect("stats"), 2);
        assert!(dir.open_dir("c").await.expect("opens").list().await.expect("lists").is_empty());
        let space = dir.space().await.expect("asks");
        assert!(space.free_bytes > 0);
    });
}

#[test]
fn names_do_not_reach_outside_of_their_directory() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let dir = Dir::open(temp.path()).await.expect("opens");
        for name in ["", ".", "..", "../x", "a/b", "nul\0"] {
            for error in [
                dir.open_file(name, CREATE).await.expect_err("refused"),
                dir.remove(name).await.expect_err("refused"),
                dir.rename(name, "x").await.expect_err("refused"),
                dir.rename("x", name).await.expect_err("refused"),
                dir.open_dir(name).await.expect_err("refused"),
            ] {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
            }
        }
    });
}

#[test]
fn a_lock_is_held_until_dropped_and_tells_by_whom() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let dir = Dir::open(temp.path()).await.expect("opens");
        let lock = dir.lock("spool.lock").await.expect("free");
        match dir.lock("spool.lock").await {
            Err(LockError::Held(pid)) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(lock);
        for _ in 0..100 {
            if dir.lock("spool.lock").await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the lock was never given up");
    });
}

fn is_send_and_sync<T: Send + Sync>() {}

#[test]
fn a_lock_may_be_dropped_anywhere() {
    is_send_and_sync::<Lock>();
    let locks: std::sync::Arc<std::sync::Mutex<Vec<Lock>>> = Default::default();
    let (temp, keep) = (std::sync::Arc::new(TempDir::new()), locks.clone());
    // One for each driver.
    let name = || format!("lock of {}", boot::driver());
    let inner = temp.clone();
    on_a_shard(move || {
        let (temp, keep) = (inner.clone(), keep.clone());
        async move {
            let dir = Dir::open(temp.path()).await.expect("opens");
            let lock = dir.lock(&name()).await.expect("free");
            keep.lock().expect("one thread").push(lock);
        }
    });
    drop(std::mem::take(&mut *locks.lock().expect("one thread")));
    let inner = temp.clone();
    on_a_shard(move || {
        let temp = inner.clone();
        async move {
            let dir = Dir::open(temp.path()).await.expect("opens");
            dir.lock(&name()).await.expect("free again");
        }
    });
}

#[test]
fn a_small_file_is_read_whole_and_a_large_one_refused() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let path = temp.path().join("smtpd.yaml");
        let content: Vec<u8> = (0..200_000).map(|n| n as u8).collect();
        std::fs::write(&path, &content).expect("writes");
        assert_eq!(read_file(&path, 200_000).await.expect("reads"), content);
        let error = read_file(&path, 199_999).await.expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let error = read_file(&temp.path().join("none"), 1).await.expect_err("missing");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn operations_whose_future_is_dropped_end_and_give_everything_back() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let dir = Dir::open(temp.path()).await.expect("opens");
        let file = dir.open_file("log", OpenOptions { direct: true, ..CREATE }).await.expect("creates");
        for polls in 0..3 {
            let mut futures: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + '_>>> = vec![
                Box::pin(async { drop(file.write_at(0, written(&[3; 8192]), Durability::Durable).await) }),
                Box::pin(async { drop(file.read_at(0, 4096).await) }),
                Box::pin(async { drop(file.sync().await) }),
                Box::pin(async { drop(file.len().await) }),
                Box::pin(async { drop(dir.list().await) }),
                Box::pin(async { drop(dir.open_file("other", CREATE).await) }),
                Box::pin(async { drop(dir.lock("lock").await) }),
                Box::pin(async { drop(dir.sync().await) }),
            ];
            for future in &mut futures {
                for _ in 0..polls {
                    let done = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
                    if done {
                        break;
                    }
                }
            }
            drop(futures);
        }
        for _ in 0..200 {
            if shard::with(|shard| shard.ops.borrow().len()) == 0 {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(shard::with(|shard| shard.ops.borrow().len()), 0);
        dir.lock("lock").await.expect("the orphaned lock was given up");
    });
}
