//! `queue groupby`: how what is queued is distributed.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;
use std::sync::Arc;

use control::smtpd::{Group, GroupBy, Missing, QueueGroupByRequest, QueueGroupByResponse};
use queue::ItemView;
use rustc_hash::FxHashMap;

use super::conditions;
use super::fields::{Field, Value};
use super::scan::{self, Scanned, scanned};
use super::shards::ask;
use super::tags::Selection;
use crate::limits;
use crate::program::Control;
use crate::shard::Shard;

/// What makes groups.
#[derive(Debug)]
struct By {
    field: Field,
    key: Vec<u8>,
    /// Upper bounds of the buckets of a number, ascending.
    bounds: Vec<f64>,
}

/// Items and bytes by the values of a group.
type Groups = FxHashMap<Vec<String>, (u64, u64)>;

/// Counts.
///
/// # Errors
/// A sentence on what is wrong with the request.
pub(super) async fn group_by(
    control: &Rc<Control>,
    request: QueueGroupByRequest,
) -> Result<QueueGroupByResponse, String> {
    let filter = Arc::new(conditions::selection(request.conditions.as_ref())?);
    let by = Arc::new(request.groupby.iter().map(By::new).collect::<Result<Vec<_>, _>>()?);
    let order = order(&request)?;
    let keep =
        usize::try_from(request.limit).ok().filter(|limit| (1..=limits::CONTROL_GROUPS).contains(limit));
    let mut missing: Vec<Missing> = Vec::new();
    let groups = gathered(engine::rng::u64(), keep, order, async |share| {
        let (filter, by) = (Arc::clone(&filter), Arc::clone(&by));
        let answers = ask(control, move |shard| count(shard, Arc::clone(&filter), Arc::clone(&by), share));
        let (parts, lacking) = scan::sort_out(answers.await);
        let is_new = |one: &Missing| !missing.iter().any(|known| known.shard == one.shard);
        let lacking: Vec<Missing> = lacking.into_iter().filter(is_new).collect();
        missing.extend(lacking);
        parts.into_iter().collect()
    });
    let groups = groups.await.ok_or_else(|| match keep {
        None => format!(
            "there are more than {} groups; give --limit, selectors, or group by less",
            limits::CONTROL_GROUPS
        ),
        Some(_) => "there are millions of groups; give selectors, or group by less".to_owned(),
    })?;
    Ok(QueueGroupByResponse { groups, missing })
}

/// The groups of all parts in order, the first `keep` of them. `parts`: what each shard has of a share; `None` where that is
/// more than it keeps at once. Then the queue is gone through several times, for a part of the groups each: what is kept
/// meanwhile stays bounded, and what is left over is right. `None`: there are too many groups for that, too, or all are wanted.
async fn gathered(
    seed: u64,
    keep: Option<usize>,
    order: (Key, bool),
    mut parts: impl AsyncFnMut(Share) -> Option<Vec<Groups>>,
) -> Option<Vec<Group>> {
    let mut share = Share { seed, bits: 0, index: 0 };
    let mut found: Vec<Group> = Vec::new();
    loop {
        let Some(parts) = parts(share).await else {
            share = keep.and_then(|_| share.narrower())?;
            continue;
        };
        let mut all = Groups::default();
        for (values, (count, bytes)) in parts.into_iter().flatten() {
            let group = all.entry(values).or_default();
            *group = (group.0 + count, group.1 + bytes);
        }
        found.extend(all.into_iter().map(|(values, (count, bytes))| Group { values, count, bytes }));
        found.sort_by(|one, other| compare(order, one, other));
        found.truncate(keep.unwrap_or(usize::MAX));
        match share.following() {
            Some(next) => share = next,
            None => return Some(found),
        }
    }
}

fn compare(order: (Key, bool), one: &Group, other: &Group) -> Ordering {
    let (ordering, desc) = match order {
        (Key::Count, desc) => (one.count.cmp(&other.count), desc),
        (Key::Bytes, desc) => (one.bytes.cmp(&other.bytes), desc),
        (Key::Value(index), desc) => (one.values[index].cmp(&other.values[index]), desc),
    };
    if desc { ordering.reverse() } else { ordering }.then_with(|| one.values.cmp(&other.values))
}

/// Some of the groups: those whose hash begins with these bits. The same on all shards.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Nobody can choose values that all fall into one.
    seed: u64,
    bits: u32,
    index: u64,
}

impl Share {
    fn has(self, values: &[String]) -> bool {
        if self.bits == 0 {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        (self.seed, values).hash(&mut hasher);
        hasher.finish() >> (u64::BITS - self.bits) == self.index
    }

    /// What comes after it.
    fn following(self) -> Option<Share> {
        (self.index + 1 < 1 << self.bits).then_some(Share { index: self.index + 1, ..self })
    }

    /// The first quarter of it.
    fn narrower(self) -> Option<Share> {
        let bits = self.bits + 2;
        (1 << bits <= limits::CONTROL_GROUP_SHARES).then_some(Share { bits, index: self.index << 2, ..self })
    }
}

#[derive(Clone, Copy)]
enum Key {
    Count,
    Bytes,
    /// The value of this grouping field.
    Value(usize),
}

/// By the first field that is named; largest count first when there is none.
fn order(request: &QueueGroupByRequest) -> Result<(Key, bool), String> {
    let Some(sort) = request.sort.first() else { return Ok((Key::Count, true)) };
    let key = match sort.field.as_str() {
        "count" => Key::Count,
        "bytes" => Key::Bytes,
        name => {
            let index = request.groupby.iter().position(|by| by.field == name);
            Key::Value(index.ok_or_else(|| {
                format!("cannot sort by \"{name}\": it is neither count nor bytes, nor grouped by")
            })?)
        }
    };
    Ok((key, sort.desc))
}

impl By {
    fn new(request: &GroupBy) -> Result<By, String> {
        let field = Field::of(&request.field)?;
        if !request.intervals.is_sorted() || request.intervals.iter().any(|bound| bound.is_nan()) {
            return Err(format!("intervals of {} are not ascending", request.field));
        }
        let key = request.key.clone().unwrap_or_default().into_bytes();
        if field == Field::Metadata && key.is_empty() {
            return Err("metadata takes a key: metadata:KEY".to_owned());
        }
        Ok(By { field, key, bounds: request.intervals.clone() })
    }

    fn value(&self, item: &ItemView<'_>, now_ms: u64) -> String {
        match self.field.value(item, &self.key, now_ms) {
            Value::Text(text) => text,
            Value::Number(None) => String::new(),
            Value::Number(Some(number)) if self.bounds.is_empty() => number.floor().to_string(),
            Value::Number(Some(number)) => bucket(&self.bounds, number),
        }
    }
}

/// `0..60`, `60..300`, `300..`: from the lower bound up to the upper one, which belongs to the next.
fn bucket(bounds: &[f64], number: f64) -> String {
    let index = bounds.partition_point(|bound| *bound <= number);
    let low = index.checked_sub(1).map_or(0.0, |below| bounds[below]);
    match bounds.get(index) {
        Some(high) => format!("{low}..{high}"),
        None => format!("{low}.."),
    }
}

/// `None`: there are too many groups.
async fn count(
    shard: Rc<Shard>,
    filter: Arc<Selection>,
    by: Arc<Vec<By>>,
    share: Share,
) -> Scanned<Option<Groups>> {
    let filter = filter.on(&shard);
    let mut groups = Groups::default();
    let mut too_many = false;
    scan::scan(&shard, |item, now_ms| {
        if filter.matches(&item, now_ms) {
            let values: Vec<String> = by.iter().map(|by| by.value(&item, now_ms)).collect();
            if share.has(&values) {
                let group = groups.entry(values).or_default();
                *group = (group.0 + 1, group.1.saturating_add(item.size_bytes));
            }
        }
        too_many = groups.len() > limits::CONTROL_GROUPS;
        !too_many
    })
    .await;
    scanned(&shard, (!too_many).then_some(groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two shards with a group of each number below 1,000, which counts for its number on each, and room for 100 groups.
    fn gathered_with_little_room(keep: Option<usize>) -> (Option<Vec<Group>>, u32) {
        let passes = std::cell::Cell::new(0);
        let part = |share: Share| -> Option<Groups> {
            let groups = (0..1000).map(|number: u64| (vec![number.to_string()], (number, 1)));
            let groups: Groups = groups.filter(|(values, _)| share.has(values)).collect();
            (groups.len() <= 100).then_some(groups)
        };
        let all = gathered(7, keep, (Key::Count, true), async |share| {
            passes.set(passes.get() + 1);
            [part(share), part(share)].into_iter().collect()
        });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(all).poll(&mut context) {
            std::task::Poll::Ready(found) => (found, passes.get()),
            std::task::Poll::Pending => panic!("it waits for nothing"),
        }
    }

    #[test]
    fn the_largest_of_more_groups_than_there_is_room_for_are_found() {
        let (found, passes) = gathered_with_little_room(Some(10));
        let found = found.expect("they are found");
        let counts: Vec<u64> = found.iter().map(|group| group.count).collect();
        assert_eq!(counts, (990..1000).rev().map(|number| 2 * number).collect::<Vec<u64>>());
        assert!((16..=67).contains(&passes), "{passes}");
        assert!(gathered_with_little_room(None).0.is_none(), "all are wanted");
    }

    #[test]
    fn a_number_falls_into_one_bucket() {
        let bounds = [60.0, 300.0];
        let buckets = [0.0, 59.9, 60.0, 299.0, 300.0, 1e9].map(|number| bucket(&bounds, number));
        assert_eq!(buckets, ["0..60", "0..60", "60..300", "60..300", "300..", "300.."]);
    }

    #[test]
    fn what_cannot_be_grouped_by_is_named() {
        let by = |field: &str, intervals: &[f64]| {
            By::new(&GroupBy { field: field.into(), key: None, intervals: intervals.into() }).map(drop)
        };
        assert!(by("size", &[1.0, 2.0]).is_ok());
        assert_eq!(by("age", &[2.0, 1.0]), Err("intervals of age are not ascending".into()));
        assert_eq!(by("metadata", &[]), Err("metadata takes a key: metadata:KEY".into()));
        assert!(
            by("nonsense", &[]).unwrap_err().starts_with("there is no field \"nonsense\"; fields are id,")
        );
    }
}
