use std::collections::BTreeSet;

use super::*;
use crate::sim::Crash;

const WRITE: Open = Open { write: true, create: true, exclusive: false, direct: false };

fn disk(seed: u64) -> (Disk, Handle) {
    let mut disk = Disk::new(Random::new(seed));
    let root = disk.open_dir(1, "/").expect("the root");
    (disk, root)
}

fn crash(disk: &mut Disk, crash: Crash) {
    disk.end_process(1);
    disk.crash(crash);
}

#[test]
fn an_entry_needs_the_sync_of_its_directory() {
    let (mut with, mut without) = (0, 0);
    for seed in 0..100 {
        for sync_dir in [true, false] {
            let (mut disk, root) = disk(seed);
            let file = disk.open_file(1, root, "f", WRITE).expect("created");
            disk.write(file, 0, b"hello", false).expect("written");
            disk.sync(file).expect("synced");
            if sync_dir {
                disk.sync(root).expect("synced");
            }
            crash(&mut disk, Crash::Power);
            let found = disk.content("/f");
            match sync_dir {
                true => assert_eq!(found.as_deref(), Some(&b"hello"[..]), "seed {seed}"),
                false if found.is_some() => with += 1,
                false => without += 1,
            }
        }
    }
    assert!(with > 20 && without > 20, "{with} {without}");
}

#[test]
fn a_rename_is_atomic_and_replaces() {
    let mut seen = BTreeSet::new();
    for seed in 0..300 {
        let (mut disk, root) = disk(seed);
        disk.plant("/meta", b"old");
        let file = disk.open_file(1, root, "meta.new", WRITE).expect("created");
        disk.write(file, 0, b"new", false).expect("written");
        disk.sync(file).expect("synced");
        disk.rename(root, "meta.new", "meta").expect("renamed");
        crash(&mut disk, Crash::Power);
        let meta = disk.content("/meta").expect("one of the two");
        assert!(meta == b"old" || meta == b"new", "seed {seed}: {meta:?}");
        assert!(meta == b"old" || disk.content("/meta.new").is_none(), "seed {seed}: two names");
        seen.insert(meta);
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_renamed_file_that_was_never_synced_may_come_back_empty() {
    let empty = (0..200).any(|seed| {
        let (mut disk, root) = disk(seed);
        let file = disk.open_file(1, root, "meta.new", WRITE).expect("created");
        disk.write(file, 0, b"new", false).expect("written");
        disk.rename(root, "meta.new", "meta").expect("renamed");
        disk.sync(root).expect("synced");
        crash(&mut disk, Crash::Power);
        disk.content("/meta").expect("its name is durable").is_empty()
    });
    assert!(empty);
}

#[test]
fn a_removal_that_was_not_synced_may_come_back_with_its_content() {
    let mut back = 0;
    for seed in 0..100 {
        let (mut disk, root) = disk(seed);
        disk.plant("/f", b"content");
        disk.remove(root, "f").expect("removed");
        assert_eq!(disk.content("/f"), None);
        crash(&mut disk, Crash::Power);
        if let Some(content) = disk.content("/f") {
            assert_eq!(content, b"content");
            back += 1;
        }
    }
    assert!((20..80).contains(&back), "{back}");
}

#[test]
fn a_killed_process_loses_nothing_that_completed() {
    for seed in 0..50 {
        let (mut disk, root) = disk(seed);
        let file = disk.open_file(1, root, "f", WRITE).expect("created");
        disk.write(file, 0, &[1; 10_000], false).expect("written");
        crash(&mut disk, Crash::Process);
        assert_eq!(disk.content("/f").as_deref(), Some(&[1; 10_000][..]));
    }
}

#[test]
fn a_write_in_flight_at_a_kill_may_be_there_wholly_partly_or_not() {
    let (mut all, mut none, mut part) = (0, 0, 0);
    for seed in 0..300 {
        let (mut disk, root) = disk(seed);
        disk.plant("/f", &[0; 8192]);
        let file = disk.open_file(1, root, "f", WRITE).expect("open");
        disk.write_abandoned(file, 0, &[1; 8192]);
        crash(&mut disk, Crash::Process);
        match disk.content("/f").expect("there").iter().filter(|&&byte| byte == 1).count() {
            8192 => all += 1,
            0 => none += 1,
            _ => part += 1,
        }
    }
    assert!(all > 30 && none > 30 && part > 30, "{all} {none} {part}");
}

#[test]
fn a_failed_write_leaves_any_part() {
    let (mut disk, root) = disk(3);
    let file = disk.open_file(1, root, "f", WRITE).expect("created");
    disk.set_faults(DiskFaults { write_eio: 1.0, ..DiskFaults::default() });
    for _ in 0..20 {
        assert_eq!(disk.write(file, 0, &[1; 8192], true).expect_err("EIO").raw_os_error(), Some(libc::EIO));
    }
    assert_eq!(disk.sync(file).expect_err("EIO").raw_os_error(), Some(libc::EIO));
    disk.set_faults(DiskFaults { read_eio: 1.0, ..DiskFaults::default() });
    assert_eq!(disk.read(file, 0, 10).expect_err("EIO").raw_os_error(), Some(libc::EIO));
}

#[test]
fn a_full_disk_refuses_new_pages_and_takes_overwrites() {
    let (mut disk, root) = disk(3);
    disk.set_faults(DiskFaults { capacity_bytes: 5 * 4096, ..DiskFaults::default() });
    let file = disk.open_file(1, root, "f", WRITE).expect("created");
    assert_eq!(disk.write(file, 0, &[1; 8 * 4096], true).expect("what fits"), 5 * 4096);
    assert_eq!(disk.free_bytes(), 0);
    let full = disk.write(file, 5 * 4096, &[1; 10], true).expect_err("full");
    assert_eq!(full.raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(disk.write(file, 4096, &[2; 4096], true).expect("an overwrite"), 4096);
    disk.remove(root, "f").expect("removed");
    disk.close(file);
    assert_eq!(disk.free_bytes(), 5 * 4096);
}

#[test]
fn a_lock_ends_with_its_process() {
    let (mut disk, root) = disk(3);
    let first = disk.open_file(1, root, "lock", WRITE).expect("open");
    let root = disk.open_dir(2, "/").expect("the root");
    let second = disk.open_file(2, root, "lock", WRITE).expect("open");
    assert!(disk.lock(first).expect("a file"));
    assert!(!disk.lock(second).expect("a file"));
    disk.end_process(1);
    assert!(disk.lock(second).expect("a file"));
}

#[test]
fn direct_access_must_be_aligned() {
    let (mut disk, root) = disk(3);
    let file = disk.open_file(1, root, "f", Open { direct: true, ..WRITE }).expect("created");
    for (offset, len) in [(512, 4096), (0, 512), (4096, 4097)] {
        let error = disk.write(file, offset, &vec![0; len], true).expect_err("unaligned");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
    assert_eq!(disk.write(file, 4096, &[0; 8192], true).expect("aligned"), 8192);
}

#[test]
fn directories_made_without_sync_take_their_files_with_them() {
    let mut lost = 0;
    for seed in 0..100 {
        let (mut disk, _) = disk(seed);
        disk.make_dir("/a").expect("made");
        let dir = disk.open_dir(1, "/a").expect("open");
        let file = disk.open_file(1, dir, "f", WRITE).expect("created");
        disk.write(file, 0, b"x", true).expect("written");
        disk.sync(dir).expect("synced");
        crash(&mut disk, Crash::Power);
        lost += u32::from(disk.content("/a/f").is_none());
    }
    assert!((20..80).contains(&lost), "{lost}");
}
