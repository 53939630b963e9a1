//! Which copies have arrived before: one bit each.

use std::collections::HashMap;

use crate::ident::Parcel;
use crate::limits::{MAX_SEEN_MAPS, MAX_SEEN_SEQUENCE};

/// All copies received so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    maps: HashMap<(u32, u16), Vec<u64>>,
}

impl Seen {
    /// Notes a copy; true when it had been noted before. Copies beyond the limits count as new.
    pub(super) fn again(&mut self, parcel: Parcel) -> bool {
        let key = (parcel.id.run, parcel.recipient);
        let sequence = parcel.id.sequence;
        let known = self.maps.contains_key(&key);
        if sequence >= MAX_SEEN_SEQUENCE || (!known && self.maps.len() >= MAX_SEEN_MAPS) {
            return false;
        }
        let map = self.maps.entry(key).or_default();
        let (word, bit) = (sequence as usize / 64, 1u64 << (sequence % 64));
        if map.len() <= word {
            map.resize(word + 1, 0);
        }
        let before = map[word];
        map[word] = before | bit;
        before & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Id;

    #[test]
    fn the_second_copy_of_the_same_parcel_is_a_duplicate() {
        let mut seen = Seen::default();
        let parcel = |run, sequence, recipient| Parcel { id: Id { run, sequence }, recipient };
        let all: Vec<Parcel> = (0..3)
            .flat_map(|run| (0..3).flat_map(move |at| (0..2).map(move |to| parcel(run, at * 63, to))))
            .collect();
        assert!(all.iter().all(|parcel| !seen.again(*parcel)));
        assert!(all.iter().all(|parcel| seen.again(*parcel)));
        assert!(!seen.again(parcel(0, MAX_SEEN_SEQUENCE, 0)));
    }
}
