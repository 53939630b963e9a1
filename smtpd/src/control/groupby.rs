//! `queue groupby`: how what is queued is distributed.

use std::rc::Rc;
use std::sync::Arc;

use control::smtpd::{Group, GroupBy, QueueGroupByRequest, QueueGroupByResponse};
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
    let answers = ask(control, move |shard| count(shard, Arc::clone(&filter), Arc::clone(&by)));
    let (parts, missing) = scan::sort_out(answers.await);
    let mut all = Groups::default();
    for part in parts {
        let part = part.ok_or_else(|| {
            format!("there are more than {} groups; group by less, or give selectors", limits::CONTROL_GROUPS)
        })?;
        for (values, (count, bytes)) in part {
            let group = all.entry(values).or_default();
            *group = (group.0 + count, group.1 + bytes);
        }
    }
    let group = |(values, (count, bytes))| Group { values, count, bytes };
    let mut groups: Vec<Group> = all.into_iter().map(group).collect();
    groups.sort_by(|one, other| {
        let by_values = || one.values.cmp(&other.values);
        let (ordering, desc) = match order {
            (Key::Count, desc) => (one.count.cmp(&other.count), desc),
            (Key::Bytes, desc) => (one.bytes.cmp(&other.bytes), desc),
            (Key::Value(index), desc) => (one.values[index].cmp(&other.values[index]), desc),
        };
        if desc { ordering.reverse() } else { ordering }.then_with(by_values)
    });
    if request.limit > 0 {
        groups.truncate(usize::try_from(request.limit).unwrap_or(usize::MAX));
    }
    Ok(QueueGroupByResponse { groups, missing })
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
async fn count(shard: Rc<Shard>, filter: Arc<Selection>, by: Arc<Vec<By>>) -> Scanned<Option<Groups>> {
    let filter = filter.on(&shard);
    let mut groups = Groups::default();
    let mut too_many = false;
    scan::scan(&shard, |item, now_ms| {
        if filter.matches(&item, now_ms) {
            let values: Vec<String> = by.iter().map(|by| by.value(&item, now_ms)).collect();
            let group = groups.entry(values).or_default();
            *group = (group.0 + 1, group.1.saturating_add(item.size_bytes));
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
