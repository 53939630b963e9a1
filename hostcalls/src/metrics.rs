//! What scripts count: the metrics of `monitor.metrics` in the configuration (reference: hsl-stdlib 25).
//!
//! Each shard counts for itself, without a word to the others; what is read is the sum over all of them. Setting a value
//! tells every shard: one has it, the others begin again at 0. Values last until the program ends, over reloads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use config::{CustomMetric, MetricKind};
use engine::boot::ShardId;
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Native, NativeRun};
use script::value::{Array, Key, Value};

use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture};
use crate::{Execution, limits, numbers};

const INCREMENT: u16 = numbers::METRICS;
const DECREMENT: u16 = numbers::METRICS + 1;
const SET: u16 = numbers::METRICS + 2;
const GET: u16 = numbers::METRICS + 3;

pub(crate) static FAMILY: Family = Family {
    natives: &[
        native(
            "metrics_increment",
            "string name, array labels [, number value = 1]",
            (2, 3),
            "Adds to a counter or gauge; values of labels count as text. True when it was added, false when the metric cannot be added to or has too many \
             labels, none when there is no such metric; outside the mail server there is none.",
            INCREMENT,
        ),
        native(
            "metrics_decrement",
            "string name, array labels [, number value = 1]",
            (2, 3),
            "Subtracts from a gauge. As metrics_increment().",
            DECREMENT,
        ),
        native(
            "metrics_set",
            "string name, array labels, number value",
            (3, 3),
            "Sets a counter or gauge, or counts the value in a histogram. As metrics_increment().",
            SET,
        ),
        native(
            "metrics_get",
            "string name, array labels",
            (2, 2),
            "What was counted, over all threads of the server: an array with value, or of a histogram with buckets (counts \
             by upper bound), sum and count. None when there is no such metric, or nothing was counted.",
            GET,
        ),
    ],
    host: &[
        HostFunction { number: INCREMENT, run: increment },
        HostFunction { number: DECREMENT, run: decrement },
        HostFunction { number: SET, run: set },
        HostFunction { number: GET, run: get },
    ],
    ..Family::EMPTY
};

const fn native(
    name: &'static str,
    params: &'static str,
    (least, most): (u8, u8),
    doc: &'static str,
    number: u16,
) -> Native {
    Native { name, params, doc, min_args: least, max_args: Some(most), run: NativeRun::Host(number) }
}

/// Names and values of labels, in the order of the names.
pub type Labels = Vec<(String, String)>;

/// One metric with one set of labels, on one shard or over several.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name of the metric.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// What was counted.
    pub count: Count,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// How many values fell below each bound and above the one before; the last is of those above all bounds.
        buckets: Vec<u64>,
        /// Sum of the values.
        sum: f64,
    },
}

impl Count {
    fn nothing(kind: &MetricKind) -> Count {
        match kind {
            MetricKind::Counter | MetricKind::Gauge => Count::Number(0.0),
            MetricKind::Histogram { bounds } => {
                Count::Histogram { buckets: vec![0; bounds.len() + 1], sum: 0.0 }
            }
        }
    }

    /// Adds what another shard has counted; what is of another kind, from before a reload, does not count.
    pub fn merge(&mut self, other: &Count) {
        match (self, other) {
            (Count::Number(mine), Count::Number(theirs)) => *mine += theirs,
            (Count::Histogram { buckets, sum }, Count::Histogram { buckets: theirs, sum: their_sum })
                if buckets.len() == theirs.len() =>
            {
                buckets.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
                *sum += their_sum;
            }
            _ => {}
        }
    }

    /// True when it is one of this kind.
    pub fn fits(&self, kind: &MetricKind) -> bool {
        match (self, kind) {
            (Count::Number(_), MetricKind::Counter | MetricKind::Gauge) => true,
            (Count::Histogram { buckets, .. }, MetricKind::Histogram { bounds }) => {
                buckets.len() == bounds.len() + 1
            }
            _ => false,
        }
    }
}

/// What a shard has counted.
#[derive(Debug, Default)]
struct Metrics {
    by_name: RefCell<BTreeMap<String, BTreeMap<Labels, Count>>>,
}

impl Metrics {
    fn here() -> Rc<Metrics> {
        engine::mesh::local::get_or_default()
    }

    /// Changes the count of a series, which begins at nothing. False: there are too many.
    fn change(&self, metric: &CustomMetric, labels: &Labels, change: impl FnOnce(&mut Count)) -> bool {
        let mut by_name = self.by_name.borrow_mut();
        if !by_name.contains_key(&metric.name) {
            by_name.insert(metric.name.clone(), BTreeMap::new());
        }
        let series = by_name.get_mut(&metric.name).expect("inserted above");
        if let Some(count) = series.get_mut(labels) {
            if !count.fits(&metric.kind) {
                *count = Count::nothing(&metric.kind);
            }
            change(count);
            return true;
        }
        if series.len() >= limits::METRIC_SERIES_MAX {
            return false;
        }
        change(series.entry(labels.clone()).or_insert_with(|| Count::nothing(&metric.kind)));
        true
    }

    fn get(&self, name: &str, labels: &Labels) -> Option<Count> {
        self.by_name.borrow().get(name)?.get(labels).cloned()
    }
}

/// All that this shard has counted.
pub fn read() -> Vec<Series> {
    let metrics = Metrics::here();
    let by_name = metrics.by_name.borrow();
    let each = by_name.iter().flat_map(|(name, series)| series.iter().map(move |one| (name, one)));
    each.map(|(name, (labels, count))| Series {
        name: name.clone(),
        labels: labels.clone(),
        count: count.clone(),
    })
    .collect()
}

/// Name and labels of a call. `None`: there is no such metric; an `Err` within: its labels cannot be had.
fn asked(execution: &Execution, call: &HostCall) -> Result<Option<(CustomMetric, Option<Labels>)>, Fault> {
    let name = call.str(0)?;
    let labels = call.opt_array(1)?.unwrap_or_default();
    let mut metrics = execution.environment().settings().metrics.iter();
    let metric = metrics.find(|metric| metric.name.as_bytes() == name.as_bytes());
    Ok(metric.map(|metric| (metric.clone(), labels_of(&labels))))
}

/// `None`: there are too many, or a name or value is none.
fn labels_of(array: &Array) -> Option<Labels> {
    if array.len() > limits::METRIC_LABELS_MAX {
        return None;
    }
    let mut labels = Labels::with_capacity(array.len());
    for (key, value) in array.iter() {
        let Key::Str(name) = key else { return None };
        let name = std::str::from_utf8(name.as_bytes()).ok().filter(|name| is_label(name))?;
        let mut text = Vec::new();
        value.write_text(&mut text).ok()?;
        if text.len() > limits::METRIC_LABEL_BYTES_MAX {
            return None;
        }
        labels.push((name.to_owned(), String::from_utf8_lossy(&text).into_owned()));
    }
    labels.sort();
    Some(labels)
}

/// As OpenMetrics wants it; names of two underscores are its own.
fn is_label(name: &str) -> bool {
    name.len() <= limits::METRIC_LABEL_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with("__")
        && name != "le"
}

fn increment(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move { add(&execution, &call, 1.0) })
}

fn decrement(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move { add(&execution, &call, -1.0) })
}

fn add(execution: &Execution, call: &HostCall, sign: f64) -> Result<Value, Fault> {
    let by = call.opt_number(2)?.unwrap_or(1.0) * sign;
    let Some((metric, labels)) = asked(execution, call)? else { return Ok(Value::None) };
    let may = match metric.kind {
        MetricKind::Counter => by >= 0.0 && sign > 0.0,
        MetricKind::Gauge => true,
        MetricKind::Histogram { .. } => false,
    };
    let Some(labels) = labels.filter(|_| may && by.is_finite()) else { return Ok(Value::Bool(false)) };
    let done = Metrics::here().change(&metric, &labels, |count| {
        if let Count::Number(number) = count {
            *number += by;
        }
    });
    Ok(Value::Bool(done))
}

fn set(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let value = call.number(2)?;
        let Some((metric, labels)) = asked(&execution, &call)? else { return Ok(Value::None) };
        let Some(labels) = labels.filter(|_| value.is_finite()) else { return Ok(Value::Bool(false)) };
        if let MetricKind::Histogram { bounds } = &metric.kind {
            let place = bounds.partition_point(|bound| *bound < value);
            let done = Metrics::here().change(&metric, &labels, |count| {
                if let Count::Histogram { buckets, sum } = count {
                    buckets[place] += 1;
                    *sum += value;
                }
            });
            return Ok(Value::Bool(done));
        }
        let mut done = true;
        for shard in (0..engine::boot::shards()).map(ShardId) {
            let here = shard == engine::boot::current();
            let (metric, labels) = (metric.clone(), labels.clone());
            let put = move || {
                let metrics = Metrics::here();
                let value = if here { value } else { 0.0 };
                // Where nothing was counted, nothing begins.
                let needed = here || metrics.get(&metric.name, &labels).is_some();
                !needed || metrics.change(&metric, &labels, |count| *count = Count::Number(value))
            };
            // A shard that has ended counts no more.
            done &= if here { put() } else { engine::mesh::call(shard, put).await.unwrap_or(true) };
        }
        Ok(Value::Bool(done))
    })
}

fn get(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let Some((metric, Some(labels))) = asked(&execution, &call)? else { return Ok(Value::None) };
        let mut all: Option<Count> = None;
        for shard in (0..engine::boot::shards()).map(ShardId) {
            let (name, labels) = (metric.name.clone(), labels.clone());
            let get = move || Metrics::here().get(&name, &labels);
            let counted = match shard == engine::boot::current() {
                true => get(),
                false => engine::mesh::call(shard, get).await.ok().flatten(),
            };
            let Some(counted) = counted.filter(|count| count.fits(&metric.kind)) else { continue };
            match &mut all {
                Some(all) => all.merge(&counted),
                None => all = Some(counted),
            }
        }
        Ok(all.map_or(Value::None, |count| shown(&count, &metric.kind)))
    })
}

/// A count as scripts see it.
fn shown(count: &Count, kind: &MetricKind) -> Value {
    let mut out = Array::new();
    match (count, kind) {
        (Count::Histogram { buckets, sum }, MetricKind::Histogram { bounds }) => {
            let mut by_bound = Array::new();
            let mut below = 0;
            let names = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            for (name, count) in names.zip(buckets) {
                below += count;
                by_bound.set_str(&name, below as f64);
            }
            out.set_str("buckets", Value::Array(by_bound));
            out.set_str("sum", *sum);
            out.set_str("count", below as f64);
        }
        (Count::Number(number), _) => out.set_str("value", *number),
        (Count::Histogram { .. }, _) => {}
    }
    Value::Array(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_named_as_openmetrics_wants_them_and_have_an_order() {
        let mut array = Array::new();
        array.set_str("to", "b.example");
        array.set_str("from", 7.0);
        let labels = labels_of(&array).expect("good labels");
        assert_eq!(labels, [("from".to_owned(), "7".to_owned()), ("to".to_owned(), "b.example".to_owned())]);
        for bad in ["le", "__x", "a-b", "2x", "ü"] {
            let mut array = Array::new();
            array.set_str(bad, "x");
            assert_eq!(labels_of(&array), None, "{bad}");
        }
        assert_eq!(labels_of(&Array::from_list(vec![Value::from(1.0)])), None, "no names");
    }

    #[test]
    fn counts_of_shards_are_added_and_those_of_another_kind_are_not() {
        let kind = MetricKind::Histogram { bounds: vec![1.0, 2.0] };
        let mut all = Count::Histogram { buckets: vec![1, 0, 2], sum: 9.0 };
        all.merge(&Count::Histogram { buckets: vec![1, 1, 0], sum: 2.5 });
        all.merge(&Count::Number(7.0));
        assert_eq!(all, Count::Histogram { buckets: vec![2, 1, 2], sum: 11.5 });
        let Value::Array(shown) = shown(&all, &kind) else { panic!("an array") };
        assert_eq!(shown.get_str("count").and_then(|count| count.as_number()), Some(5.0));
        let buckets =
            shown.get_str("buckets").and_then(|buckets| buckets.as_array().cloned()).expect("there");
        assert_eq!(buckets.get_str("+Inf").and_then(|count| count.as_number()), Some(5.0));
        assert!(Count::nothing(&kind).fits(&kind) && !Count::Number(0.0).fits(&kind));
    }
}
