//! Paths as text: where a file is by its name, and what a relative path means there.

use std::path::{Component, Path, PathBuf};

/// What kind of file a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// A virtual file with this id.
    Virtual(&'a str),
    /// Below the root directory.
    Root(&'a str),
    /// An installed module.
    Extras(&'a str),
    /// A script of the command line, or one that has no place (a hook, standard input).
    Disk,
}

impl<'a> Origin<'a> {
    pub(super) fn of(name: &'a str) -> Origin<'a> {
        if let Some(path) = name.strip_prefix("file://") {
            Origin::Root(path)
        } else if let Some(id) = name.strip_prefix("file:") {
            Origin::Virtual(id)
        } else if let Some(path) = name.strip_prefix("extras:") {
            Origin::Extras(path)
        } else {
            Origin::Disk
        }
    }
}

/// The path that `path` means in the file `from`, without `.` and `..`. `None`: it leads out.
pub(super) fn join(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match from.rsplit_once('/') {
        Some((directory, _)) if !path.starts_with('/') => directory.split('/').collect(),
        _ => Vec::new(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    Some(parts.join("/"))
}

/// The directory of a script of the command line.
pub(super) fn parent(from: &str) -> PathBuf {
    Path::new(from).parent().unwrap_or(Path::new("")).to_owned()
}

/// The path without `.`, and without `..` where nothing but that is between the same file and it, so that a file has one
/// name however it is reached. What `..` means depends on links, so the disk is asked.
pub(super) fn tidy(path: &Path) -> String {
    let parts = || path.components().filter(|part| !matches!(part, Component::CurDir));
    let plain: PathBuf = parts().collect();
    if !parts().any(|part| matches!(part, Component::ParentDir)) {
        return plain.to_string_lossy().into_owned();
    }
    let mut short = PathBuf::new();
    for part in parts() {
        let inside = short.components().next_back().is_some_and(|last| matches!(last, Component::Normal(_)));
        if matches!(part, Component::ParentDir) && inside {
            short.pop();
        } else {
            short.push(part);
        }
    }
    let same = |a: &Path, b: &Path| a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a));
    let name = if same(&short, &plain) { short } else { plain };
    name.to_string_lossy().into_owned()
}
