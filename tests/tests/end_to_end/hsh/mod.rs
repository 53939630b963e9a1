//! The programs `hsh` and `hsl-lint`.

mod cases;
mod conformance;
mod debugger;
mod errors;
mod examples;
mod hostile;
mod lint;
mod options;
mod queueing;
mod repl;
mod signals;
mod vectors;

use std::path::{Path, PathBuf};

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        write(dir.path(), name, text);
    }
    dir
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("below a directory")).expect("a temporary directory");
    std::fs::write(&path, text).expect("a temporary directory can be written");
    path
}
