#![allow(clippy::disallowed_methods, reason = "the files of a test are no part of the engine")]

use std::sync::Arc;

use script::value::Value;

use crate::on_engine::{call, construct, method, on_a_shard, static_call, text};
use crate::source::Sources;
use crate::{Execution, Settings};

fn settings(root: &std::path::Path) -> Settings {
    let sources = Sources::new([("policy".to_owned(), b"one\r\ntwo\n\nend".to_vec())]);
    Settings { sources: Arc::new(sources.with_root(root).unwrap()), ..Settings::default() }
}

#[test]
fn lines_and_pieces_are_read_from_memory_and_disk_alike() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), "one\r\ntwo\n\nend").unwrap();
    on_a_shard(settings(root.path()), |environment| async move {
        let execution = Execution::begin(&environment);
        let in_memory =
            static_call(&execution, "File", "String", &["one\r\ntwo\n\nend".into()]).await.unwrap();
        let configured = construct(&execution, "File", &["policy".into()]).await.unwrap();
        let on_disk = construct(&execution, "File", &["file://file".into()]).await.unwrap();
        for file in [in_memory, configured, on_disk] {
            let run = async |name: &str, args: &[Value]| {
                text(&method(&execution, &file, name, args).await.unwrap())
            };
            let mut lines = Vec::new();
            for _ in 0..5 {
                lines.push(run("readline", &[]).await);
            }
            assert_eq!(lines, ["one", "two", "", "end", "false"]);
            assert_eq!(run("tell", &[]).await, "13");
            assert_eq!(run("read", &[10.into()]).await, "");
            assert_eq!(run("seek", &[5.into()]).await, "5");
            assert_eq!(run("read", &[3.into()]).await, "two");
            assert_eq!(run("seek", &[(-3).into(), "SEEK_END".into()]).await, "10");
            assert_eq!(run("read", &[]).await, "end");
            assert_eq!(run("seek", &[(-13).into(), "SEEK_CUR".into()]).await, "0");
            assert_eq!(run("seek", &[(-1).into()]).await, "");
            assert_eq!(run("seek", &[100.into()]).await, "100");
            assert_eq!(run("readline", &[]).await, "false");
            assert!(method(&execution, &file, "seek", &[0.into(), "SEEK".into()]).await.is_err());
            run("close", &[]).await;
            for (name, args) in
                [("read", vec![]), ("readline", vec![]), ("tell", vec![]), ("seek", vec![0.into()])]
            {
                assert!(method(&execution, &file, name, &args).await.unwrap().is_none(), "{name}");
            }
        }
    });
}

#[test]
fn a_large_file_is_read_in_pieces_and_long_lines_come_whole() {
    let root = tempfile::tempdir().unwrap();
    let long = "x".repeat(200_000);
    std::fs::write(root.path().join("large"), format!("{long}\nshort\r\n{long}")).unwrap();
    on_a_shard(settings(root.path()), move |environment| async move {
        let execution = Execution::begin(&environment);
        let file = construct(&execution, "File", &["file://large".into()]).await.unwrap();
        let line = async || text(&method(&execution, &file, "readline", &[]).await.unwrap());
        assert_eq!(line().await.len(), 200_000);
        assert_eq!(line().await, "short");
        assert_eq!(line().await.len(), 200_000);
        assert_eq!(line().await, "false");
        let whole = static_call(&execution, "File", "read", &["file://large".into()]).await.unwrap();
        assert_eq!(whole.as_bytes().unwrap().len(), 400_008);
        method(&execution, &file, "seek", &[199_998.into()]).await.unwrap();
        assert_eq!(text(&method(&execution, &file, "read", &[5.into()]).await.unwrap()), "xx\nsh");
    });
}

#[test]
fn nothing_outside_of_the_root_is_opened() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(place.path().join("secret"), "secret").unwrap();
    std::fs::write(root.join("inside"), "inside").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
    on_a_shard(settings(&root), |environment| async move {
        let execution = Execution::begin(&environment);
        for path in
            ["file://../secret", "file://link", "file:///etc/passwd", "file://.", "none", "/etc/passwd", ""]
        {
            assert!(construct(&execution, "File", &[path.into()]).await.is_err(), "{path}");
            let read = static_call(&execution, "File", "read", &[path.into()]).await.unwrap();
            assert!(read.is_none(), "{path}");
        }
        assert!(construct(&execution, "File", &[1.into()]).await.is_err());
        let mut open = Vec::new();
        while let Ok(file) = construct(&execution, "File", &["file://inside".into()]).await {
            open.push(file);
        }
        assert_eq!(open.len(), crate::limits::OPEN_MAX);
        method(&execution, &open[0], "close", &[]).await.unwrap();
        assert!(construct(&execution, "File", &["file://inside".into()]).await.is_ok());
        // Calls of others go on.
        assert_eq!(text(&call(&execution, "memory_inc", &["x".into()]).await.unwrap()), "1");
    });
}
