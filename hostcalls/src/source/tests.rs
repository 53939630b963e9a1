//! Files by each form of path, and what must not be reachable.
#![expect(clippy::disallowed_methods, reason = "the real disk is what is tested")]

use std::os::unix::fs::symlink;

use super::*;

struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn new(files: &[&str]) -> Tree {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        Tree { dir }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }
}

fn sources(tree: &Tree) -> Sources {
    let files = ["a.hsl", "lib/b.hsl", "lib/c.hsl", "dir/main.hsl"];
    Sources::new(files.map(|id| (id.to_owned(), format!("virtual {id}").into_bytes())))
        .with_root(&tree.path("root"))
        .unwrap()
        .with_extras(&tree.path("extras"))
        .with_command_line()
}

/// Name and content, or the error.
fn find(sources: &Sources, path: &str, from: &str) -> Result<(String, String), String> {
    let (name, bytes) = sources.read(path, from, 1000).map_err(|error| error.to_string())?;
    Ok((name, String::from_utf8_lossy(&bytes).into_owned()))
}

#[test]
fn each_form_of_path_finds_its_file() {
    let tree = Tree::new(&[
        "root/x.hsl",
        "root/sub/y.hsl",
        "root/mod/main.hsl",
        "root/sub/deep/main.hsl",
        "extras/dmarc/main.hsl",
        "extras/dmarc/lib/z.hsl",
        "cli/main.hsl",
        "cli/near.hsl",
        "far.hsl",
    ]);
    let sources = sources(&tree);
    let cli = tree.path("cli/main.hsl").to_string_lossy().into_owned();
    for (path, from, name, content) in [
        ("a.hsl", "stdin", "file:a.hsl", "virtual a.hsl"),
        ("file:lib/b.hsl", "stdin", "file:lib/b.hsl", "virtual lib/b.hsl"),
        ("dir", "stdin", "file:dir/main.hsl", "virtual dir/main.hsl"),
        ("./c.hsl", "file:lib/b.hsl", "file:lib/c.hsl", "virtual lib/c.hsl"),
        ("../a.hsl", "file:lib/b.hsl", "file:a.hsl", "virtual a.hsl"),
        ("file://x.hsl", "stdin", "file://x.hsl", "root/x.hsl"),
        ("file:///sub/../x.hsl", "stdin", "file://x.hsl", "root/x.hsl"),
        ("file://mod", "stdin", "file://mod/main.hsl", "root/mod/main.hsl"),
        ("file://sub/deep/", "stdin", "file://sub/deep/main.hsl", "root/sub/deep/main.hsl"),
        ("file://a.hsl", "stdin", "file:a.hsl", "virtual a.hsl"),
        ("../x.hsl", "file://sub/y.hsl", "file://x.hsl", "root/x.hsl"),
        ("extras://dmarc", "eod:scan", "extras:dmarc/main.hsl", "extras/dmarc/main.hsl"),
        ("./lib/z.hsl", "extras:dmarc/main.hsl", "extras:dmarc/lib/z.hsl", "extras/dmarc/lib/z.hsl"),
    ] {
        assert_eq!(find(&sources, path, from), Ok((name.to_owned(), content.to_owned())), "{path} in {from}");
    }
    for path in ["near.hsl", "./near.hsl", "././near.hsl"] {
        let (name, content) = find(&sources, path, &cli).unwrap();
        assert_eq!(
            (name, &*content),
            (tree.path("cli/near.hsl").to_string_lossy().into_owned(), "cli/near.hsl")
        );
    }
    assert_eq!(find(&sources, "../far.hsl", &cli).unwrap().1, "far.hsl");
}

/// A module that was named in two ways ran twice.
#[test]
fn a_file_has_one_name_however_it_is_reached() {
    let tree = Tree::new(&[
        "root/x.hsl",
        "root/sub/y.hsl",
        "extras/m",
        "cli/main.hsl",
        "cli/near.hsl",
        "cli/pkg/main.hsl",
    ]);
    let sources = sources(&tree);
    let name = |path: &str, from: &str| {
        find(&sources, path, &tree.path(from).to_string_lossy()).map(|(name, _)| PathBuf::from(name))
    };
    for (path, from) in [
        ("./near.hsl", "cli/main.hsl"),
        ("../near.hsl", "cli/pkg/main.hsl"),
        ("./pkg/../pkg/../near.hsl", "cli/main.hsl"),
    ] {
        assert_eq!(name(path, from), Ok(tree.path("cli/near.hsl")), "{path} in {from}");
    }
    // Behind a link, .. is somewhere else.
    symlink(tree.path("root/sub"), tree.path("cli/link")).unwrap();
    assert_eq!(name("./link/../x.hsl", "cli/main.hsl"), Ok(tree.path("cli/link/../x.hsl")));
}

#[test]
fn a_hook_stands_beside_the_virtual_files() {
    let sources = Sources::new([("x.hsl".to_owned(), b"1".to_vec())]);
    assert_eq!(find(&sources, "./x.hsl", "eod:scan").unwrap().0, "file:x.hsl");
    assert!(find(&sources, "Cargo.toml", "eod:scan").unwrap_err().contains("no file \"Cargo.toml\""));
    assert!(find(&sources, "../x.hsl", "eod:scan").unwrap_err().contains("leads out"));
}

#[test]
fn nothing_leads_out_of_a_root() {
    let tree = Tree::new(&["root/x.hsl", "root/sub/y.hsl", "secret", "extras/m/main.hsl"]);
    symlink("../secret", tree.path("root/link")).unwrap();
    symlink(tree.path("secret"), tree.path("root/absolute")).unwrap();
    symlink("..", tree.path("root/up")).unwrap();
    symlink(tree.path("root/x.hsl"), tree.path("root/sub/inside")).unwrap();
    let sources = sources(&tree);
    for path in [
        "file://../secret",
        "file:///../../secret",
        "file://sub/../../secret",
        "file://link",
        "file://absolute",
        "file://up/secret",
        "extras://../secret",
        "extras://m/../../secret",
    ] {
        let error = find(&sources, path, "stdin").unwrap_err();
        assert!(error.contains("leads out") || error.contains("not installed"), "{path}: {error}");
    }
    assert!(find(&sources, "../../../secret", "file://sub/y.hsl").unwrap_err().contains("leads out"));
    assert!(find(&sources, "../../secret", "extras:m/main.hsl").unwrap_err().contains("leads out"));
    assert_eq!(
        find(&sources, "file://sub/inside", "stdin").unwrap().0,
        "file://x.hsl",
        "links within are fine"
    );
}

#[test]
fn what_is_no_regular_file_or_too_long_is_refused() {
    let tree = Tree::new(&["root/long", "extras/m/main.hsl"]);
    std::fs::write(tree.path("root/long"), vec![b'x'; 1001]).unwrap();
    nix::unistd::mkfifo(&tree.path("root/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let sources = sources(&tree);
    assert!(find(&sources, "file://long", "stdin").unwrap_err().contains("longer than 1000"));
    assert!(find(&sources, "file://fifo", "stdin").unwrap_err().contains("regular file"));
    assert!(find(&sources, "", "stdin").is_err() && find(&sources, "a\0b", "stdin").is_err());
}

#[test]
fn errors_say_what_is_missing() {
    let none = Sources::default();
    let error = |path: &str| none.find(path, "stdin").unwrap_err();
    assert!(error("file://x").to_string().contains("scripting.rootpath") && error("file://x").is_missing());
    assert!(error("extras://rate").to_string().contains("/opt/halon/plugins/hsl/rate"));
    assert!(error("x").to_string().contains("scripting.files"));
}
