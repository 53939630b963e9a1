//! Helpers of the tests that need a running engine.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::boot::{self, DriverChoice, Options, ShardId};

/// Runs `f` on one unpinned shard.
pub(crate) fn on_a_shard<F, Fut>(f: F)
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    on_shards(1, move |id| {
        let run = (id.0 == 0).then(&f);
        async {
            if let Some(run) = run {
                run.await;
            }
        }
    });
}

/// Runs `f` on `shards` unpinned shards and the control thread: on io_uring, then again on epoll, so that every test
/// holds for both.
pub(crate) fn on_shards<F, Fut>(shards: u16, f: F)
where
    F: Fn(ShardId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let f = Arc::new(f);
    for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
        let f = f.clone();
        let options = Options { shards, pin: false, driver, signals: Vec::new() };
        boot::run(options, move |id| f(id)).expect("both drivers work here");
    }
}

/// A directory that is removed in the end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let mut name = std::env::temp_dir().join("engine-test-XXXXXX").into_os_string().into_encoded_bytes();
        name.push(0);
        // SAFETY: a template that ends with a NUL, which is written to.
        assert!(!unsafe { libc::mkdtemp(name.as_mut_ptr().cast()) }.is_null());
        name.pop();
        TempDir(PathBuf::from(String::from_utf8(name).expect("as it was")))
    }
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `f`, a test of this name, in a process of its own: for what is about the whole process.
pub(crate) fn alone(test: &str, f: impl FnOnce()) {
    const MARK: &str = "ENGINE_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return f();
    }
    let program = std::env::current_exe().expect("known");
    let mut command = std::process::Command::new(program);
    let output = command.args(["--exact", test, "--nocapture"]).env(MARK, "1").output().expect("starts");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
