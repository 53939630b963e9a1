//! What is generated from `control/proto` agrees with it. `UPDATE_DOCS=1` writes it anew.
#![expect(clippy::disallowed_methods, reason = "reads and writes the files of the source tree")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::reference::reference;
use crate::command::TABLE;
use crate::{Command, DESCRIPTORS, Message};

fn crate_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Fails when the file is stale, or writes it when asked to.
fn agree(name: &str, wanted: &[u8]) {
    let path = crate_path(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read(&path).unwrap_or_default();
    assert!(found == wanted, "{name} is stale: UPDATE_DOCS=1 cargo test -p control");
}

#[test]
fn messages_and_descriptors_agree_with_the_proto_files() {
    let proto = crate_path("proto");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&proto)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    files.sort();
    let mut compiler = protox::Compiler::new([&proto]).unwrap();
    compiler.include_source_info(true).open_files(&files).unwrap();
    let described = compiler.file_descriptor_set();

    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new().btree_map(["."]).out_dir(out.path()).compile_fds(described.clone()).unwrap();
    agree("src/smtpd.rs", &std::fs::read(out.path().join("smtpd.rs")).unwrap());

    agree("../docs/reference/control-protocol.md", reference(&described.file).as_bytes());

    let mut bare = described;
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    agree("proto/smtpd.binpb", &bare.encode_to_vec());
}

#[test]
fn each_command_has_its_own_letter_and_messages_that_exist() {
    let mut letters = HashSet::new();
    let mut commands = HashSet::new();
    for row in TABLE {
        assert!(letters.insert(row.letter), "{:?}", row.command);
        assert!(commands.insert(row.command), "{:?}", row.command);
        assert_eq!(Command::of(row.letter), Some(row.command));
        for name in row.request.iter().chain(&row.response) {
            let described = name.as_bytes();
            assert!(DESCRIPTORS.windows(described.len()).any(|text| text == described), "{name}");
        }
    }
}
