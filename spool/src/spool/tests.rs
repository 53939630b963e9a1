//! Which log goes to which shard.

use super::*;

fn segments(logs: &[u32]) -> Vec<Name> {
    logs.iter().map(|log| Name::Segment { log: *log, slot: 1 }).collect()
}

#[test]
fn logs_that_were_once_together_stay_together() {
    let mut meta = Meta::new([0; 16]);
    let mut all = Vec::new();
    for shards in [1, 8, 2, 3, 1, 4] {
        let before: Vec<Log> = meta.logs.clone();
        let assigned = assign(&mut meta, &segments(&all), shards);
        assert_eq!(assigned.len(), usize::from(shards));
        let owner = |log: u32| assigned.iter().position(|shard| shard.all.contains(&log)).expect("owned");
        for a in &before {
            for b in before.iter().filter(|b| b.group == a.group) {
                assert_eq!(owner(a.id), owner(b.id), "{shards} shards: {a:?} {b:?}");
            }
        }
        all = assigned.iter().flat_map(|shard| shard.all.clone()).collect();
        let mut unique = all.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), all.len());
    }
}

#[test]
fn a_log_without_files_is_forgotten_and_its_number_is_not_used_again() {
    let mut meta = Meta::new([0; 16]);
    assert_eq!(assign(&mut meta, &[], 2)[1].active, 1);
    let assigned = assign(&mut meta, &segments(&[1]), 2);
    assert_eq!(assigned[0].all, [1]);
    assert_eq!(assigned[1].all, [2]);
}
