//! `queue list`.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use control::Message;
use control::smtpd::{Missing, QueueItem, QueueListRequest, QueueListResponse, Sort};
use queue::{Cursor, MessageKey};

use super::conditions;
use super::fields::{Field, Value};
use super::rows;
use super::scan::{self, scanned};
use super::shards::{Answer, ask, ask_one};
use super::tags::Selection;
use super::{subjects, suspends};
use crate::limits;
use crate::program::Control;
use crate::shard::Shard;

/// Rows in the order of the shards and of what they hold, a page at a time; or sorted, all at once.
///
/// # Errors
/// A sentence on what is wrong with the request.
pub(super) async fn list(
    control: &Rc<Control>,
    request: QueueListRequest,
) -> Result<QueueListResponse, String> {
    let filter = Arc::new(conditions::selection(request.conditions.as_ref())?);
    let mut answer = if request.sort.is_empty() {
        page(control, &filter, &request).await?
    } else if request.cursor.is_empty() {
        sorted(control, filter, &request).await?
    } else {
        return Err("a sorted listing has no cursor".to_owned());
    };
    suspends::name_waits(control, answer.queue.iter_mut().filter_map(|row| row.waiting.as_mut()));
    Ok(answer)
}

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    shard: u16,
    from: Cursor,
    /// Rows to pass over yet.
    skip: u64,
    /// Rows yet to come at most.
    left: u64,
}

impl Place {
    fn decode(bytes: &[u8]) -> Option<Place> {
        let (shard, rest) = bytes.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (skip, rest) = rest.split_first_chunk()?;
        Some(Place {
            shard: u16::from_le_bytes(*shard),
            from: Cursor::at(u32::from_le_bytes(*from)),
            skip: u64::from_le_bytes(*skip),
            left: u64::from_le_bytes(rest.try_into().ok()?),
        })
    }

    fn encode(self) -> Vec<u8> {
        let mut out = self.shard.to_le_bytes().to_vec();
        out.extend(self.from.number().to_le_bytes());
        out.extend(self.skip.to_le_bytes());
        out.extend(self.left.to_le_bytes());
        out
    }
}

async fn page(
    control: &Rc<Control>,
    filter: &Arc<Selection>,
    request: &QueueListRequest,
) -> Result<QueueListResponse, String> {
    let mut answer = QueueListResponse::default();
    let mut place = if request.cursor.is_empty() {
        (answer.total, answer.missing) = count(control, filter).await;
        let left = if request.limit == 0 { u64::MAX } else { request.limit };
        Place { shard: 0, from: Cursor::default(), skip: request.offset, left }
    } else {
        Place::decode(&request.cursor).ok_or("the cursor is not one of ours")?
    };
    let mut bytes = 0;
    while place.shard < control.program.shards && place.left > 0 {
        if bytes >= limits::CONTROL_PAGE_BYTES {
            answer.cursor = place.encode();
            break;
        }
        let (filter, room) = (Arc::clone(filter), limits::CONTROL_PAGE_BYTES - bytes);
        let subjects = wants_subjects(request);
        let rows = async move |shard: Rc<Shard>| {
            let mut part = rows(&shard, filter, place, room).await;
            if subjects {
                let rows = part.rows.iter_mut().zip(&part.messages);
                subjects::fill(&shard, rows.map(|(row, message)| (*message, row))).await;
            }
            part
        };
        let got = ask_one(control, place.shard, rows).await;
        // What a shard that stands still lacks was said on the first page.
        let Answer::Here(part) = got else {
            place = Place { shard: place.shard + 1, from: Cursor::default(), ..place };
            continue;
        };
        bytes += part.bytes;
        answer.queue.extend(part.rows);
        place = part.next;
    }
    Ok(answer)
}

/// What one shard adds to a page.
struct Part {
    rows: Vec<QueueItem>,
    /// Of each row.
    messages: Vec<MessageKey>,
    bytes: usize,
    next: Place,
}

async fn rows(shard: &Rc<Shard>, filter: Arc<Selection>, mut place: Place, room: usize) -> Part {
    let (snapshot, rules) = (shard.snapshot(), shard.rules());
    let filter = filter.on(shard);
    let mut part = Part { rows: Vec::new(), messages: Vec::new(), bytes: 0, next: place };
    let stopped = scan::scan_from(shard, place.from, |item, now_ms| {
        if filter.matches(&item, now_ms) {
            if place.skip > 0 {
                place.skip -= 1;
            } else {
                let row = rows::row(&item, &snapshot, &rules, now_ms);
                part.bytes += row.encoded_len() + 8;
                part.rows.push(row);
                part.messages.push(item.key.message);
                place.left -= 1;
            }
        }
        part.bytes < room && place.left > 0
    });
    part.next = match stopped.await {
        Some(from) => Place { from, ..place },
        None => Place { shard: place.shard + 1, from: Cursor::default(), ..place },
    };
    part
}

/// How many items the filter selects.
pub(super) async fn count(control: &Rc<Control>, filter: &Arc<Selection>) -> (u64, Vec<Missing>) {
    let filter = Arc::clone(filter);
    let answers = ask(control, move |shard| {
        let filter = Arc::clone(&filter);
        async move {
            let mut count = 0;
            if filter.is_empty() {
                count = shard.queue.borrow().counts().total() as u64;
            } else {
                let filter = filter.on(&shard);
                scan::scan(&shard, |item, now_ms| {
                    count += u64::from(filter.matches(&item, now_ms));
                    true
                })
                .await;
            }
            scanned(&shard, count)
        }
    })
    .await;
    let (counts, missing) = scan::sort_out(answers);
    (counts.into_iter().sum(), missing)
}

/// Subjects are read from disk, so somebody must ask for them by name.
fn wants_subjects(request: &QueueListRequest) -> bool {
    request.fields.iter().any(|field| field == "subject")
}

/// A row, what it is sorted by, and its message.
type Keyed = (Vec<Value>, QueueItem, MessageKey);

/// What to sort by, and whether downwards.
type Order = Vec<(By, bool)>;

/// What a listing is sorted by.
#[derive(Clone, Copy, Debug)]
enum By {
    /// A field of the item.
    Item(Field),
    /// Something that is known once there is a row.
    Row(OfRow),
}

/// What a row has in a column.
type OfRow = fn(&QueueItem) -> Value;

/// Columns that are made for a row.
const OF_ROWS: &[(&str, OfRow)] = &[
    ("tags", |row| Value::Text(row.tags.join(", "))),
    ("quotas", |row| Value::Text(row.quotas.join(", "))),
    // By what it waits for, and then until when.
    ("waiting", |row| {
        let waiting = row.waiting.clone().unwrap_or_default();
        Value::Text(format!("{:02} {:016.3} {}", waiting.kind, waiting.until, waiting.text))
    }),
    ("last", |row| Value::Text(row.last.as_ref().map(|last| last.text.clone()).unwrap_or_default())),
    ("lastts", |row| Value::Number(row.last.as_ref().map(|last| last.ts))),
];

async fn sorted(
    control: &Rc<Control>,
    filter: Arc<Selection>,
    request: &QueueListRequest,
) -> Result<QueueListResponse, String> {
    let order: Order = request
        .sort
        .iter()
        .map(|Sort { field, desc }| Ok((sort_field(field)?, *desc)))
        .collect::<Result<_, String>>()?;
    let wanted = match request.limit {
        0 => u64::MAX,
        limit => limit.saturating_add(request.offset),
    };
    let most = limits::CONTROL_SORTED_ROWS;
    if request.limit > 0 && wanted > most as u64 {
        return Err(format!("a sorted listing has {most} rows at most; lower --limit or --offset"));
    }
    let keep = usize::try_from(wanted).unwrap_or(usize::MAX).min(most);
    let subjects = wants_subjects(request);
    if subjects && keep > limits::CONTROL_SUBJECTS {
        let most = limits::CONTROL_SUBJECTS;
        return Err(format!(
            "subject: a sorted listing with subjects takes a --limit of {most} rows at most"
        ));
    }
    let shared = Arc::new(order.clone());
    let answers = ask(control, move |shard| {
        let (filter, order) = (Arc::clone(&filter), Arc::clone(&shared));
        async move {
            let mut first = first_rows(&shard, filter, order, keep).await;
            if subjects {
                let rows = first.1.iter_mut().map(|(_, row, message)| (*message, row));
                subjects::fill(&shard, rows).await;
            }
            scanned(&shard, first)
        }
    });
    let (parts, missing) = scan::sort_out(answers.await);
    let total: u64 = parts.iter().map(|(count, _)| count).sum();
    if request.limit == 0 && total > most as u64 {
        return Err(format!("{total} rows are too many to sort; give --limit, or selectors"));
    }
    let mut all: Vec<Keyed> = parts.into_iter().flat_map(|(_, rows)| rows).collect();
    all.sort_by(|one, other| compare(&order, &one.0, &other.0));
    let rows = all.into_iter().map(|(_, row, _)| row);
    let offset = usize::try_from(request.offset).unwrap_or(usize::MAX);
    let queue = rows.skip(offset).take(keep.saturating_sub(offset)).collect();
    Ok(QueueListResponse { total, queue, missing, ..QueueListResponse::default() })
}

/// What rows can be sorted by.
fn sort_field(name: &str) -> Result<By, String> {
    if let Some((_, of_row)) = OF_ROWS.iter().find(|(known, _)| *known == name) {
        return Ok(By::Row(*of_row));
    }
    match name {
        "subject" => {
            Err("cannot sort by subject: it is read from disk for the rows that are shown".to_owned())
        }
        name => match Field::of(name)? {
            Field::Metadata => Err("cannot sort by metadata: it is many values".to_owned()),
            field => Ok(By::Item(field)),
        },
    }
}

/// How many a shard has, and the first of them.
async fn first_rows(
    shard: &Rc<Shard>,
    filter: Arc<Selection>,
    order: Arc<Order>,
    keep: usize,
) -> (u64, Vec<Keyed>) {
    let (snapshot, rules) = (shard.snapshot(), shard.rules());
    let filter = filter.on(shard);
    let (mut count, mut rows) = (0, Vec::<Keyed>::new());
    scan::scan(shard, |item, now_ms| {
        if filter.matches(&item, now_ms) {
            count += 1;
            let row = rows::row(&item, &snapshot, &rules, now_ms);
            let value = |by: By| match by {
                By::Item(field) => field.value(&item, b"", now_ms),
                By::Row(of_row) => of_row(&row),
            };
            let key = order.iter().map(|(by, _)| value(*by)).collect();
            rows.push((key, row, item.key.message));
            if rows.len() >= 2 * keep.max(500) {
                first(&mut rows, &order, keep);
            }
        }
        true
    })
    .await;
    first(&mut rows, &order, keep);
    (count, rows)
}

/// Drops all but the first rows.
fn first(rows: &mut Vec<Keyed>, order: &Order, keep: usize) {
    if rows.len() > keep && keep > 0 {
        rows.select_nth_unstable_by(keep - 1, |one, other| compare(order, &one.0, &other.0));
    }
    rows.truncate(keep);
}

fn compare(order: &Order, one: &[Value], other: &[Value]) -> Ordering {
    let each = order.iter().zip(one.iter().zip(other));
    each.fold(Ordering::Equal, |so_far, ((_, desc), (one, other))| {
        so_far.then_with(|| if *desc { other.compare(one) } else { one.compare(other) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_given_and_others_are_refused() {
        let place = Place { shard: 3, from: Cursor::at(70_000), skip: 5, left: u64::MAX };
        assert_eq!(Place::decode(&place.encode()), Some(place));
        for bytes in [&[][..], &[1; 21], &[1; 23]] {
            assert_eq!(Place::decode(bytes), None);
        }
    }

    #[test]
    fn what_cannot_be_sorted_by_says_why() {
        let refused = |name| sort_field(name).map(drop).expect_err("it cannot");
        assert!(refused("subject").contains("read from disk"));
        assert!(refused("metadata").contains("many values"));
        assert!(refused("nonsense").starts_with("there is no field"));
    }

    #[test]
    fn rows_are_sorted_by_one_field_after_the_other() {
        let order = vec![(By::Item(Field::State), false), (By::Item(Field::Duration), true)];
        let row = |state: &str, duration| {
            let key = vec![Value::Text(state.into()), Value::Number(duration)];
            let row = QueueItem { duration: duration.unwrap_or_default(), ..QueueItem::default() };
            (key, row, MessageKey { log: 0, sequence: 0 })
        };
        let mut rows = vec![row("B", Some(1.0)), row("A", None), row("A", Some(2.0)), row("A", Some(3.0))];
        first(&mut rows, &order, 3);
        rows.sort_by(|one, other| compare(&order, &one.0, &other.0));
        let durations: Vec<_> = rows.iter().map(|(_, row, _)| row.duration).collect();
        assert_eq!(durations, [3.0, 2.0, 0.0]);
    }
}
