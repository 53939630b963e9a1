//! The matches that another thread finds for `pcre_replace` with a function: some at once, from where the last ones ended.

use super::{MATCH_PARAMS, On, Search, match_array};
use crate::fault::Fault;
use crate::limits::GROUPS_AT_ONCE;
use crate::native::{Call, Native};
use crate::value::{Array, Value};

/// The other thread's part: pattern, subject, where to look from, and where the last match ended. Returns where it would go
/// on, the end of the last match, whether there are more, and for each match its start, its end and its groups.
pub(super) static PLACES: Native = Native::sized("pcre_replace", MATCH_PARAMS, (4, Some(4)), "", 0, find);

fn find(call: &mut Call<'_>) -> Result<Value, Fault> {
    let pattern = call.pattern(0)?;
    let subject = call.str(1)?;
    let mut search = Search::new(On::OtherThread);
    search.from = call.integer(2)? as usize;
    search.last_end = call.opt_integer(3)?.map(|end| end as usize);
    let mut groups = pattern.groups();
    let mut matches = Vec::new();
    let mut more = true;
    while more && matches.len() / 3 * groups.count() < GROUPS_AT_ONCE {
        more = search.next(&pattern, &mut groups, &subject, call.host())? == Some(true);
        if more {
            let (start, end) = groups.get(0).unwrap_or_default();
            let array = match_array(&pattern, &groups, &subject, true);
            matches.extend([Value::from(start as f64), Value::from(end as f64), array.into()]);
        }
    }
    let last_end = search.last_end.map_or(Value::None, |end| Value::from(end as f64));
    let fields =
        vec![Value::from(search.from as f64), last_end, more.into(), Array::from_list(matches).into()];
    Ok(Array::from_list(fields).into())
}

/// What the other thread has found, as far as it is not used up.
#[derive(Default)]
pub(super) struct Batch {
    matches: Vec<Value>,
    next: usize,
    is_last: bool,
}

impl Batch {
    /// Reads the answer, and puts the search behind it.
    pub(super) fn read(answer: &Value, search: &mut Search) -> Result<Batch, Fault> {
        let number = |value: &Value| value.as_number().map(|number| number as usize);
        let fields: Vec<Value> = answer.as_array().map(|array| array.values().collect()).unwrap_or_default();
        let [from, last_end, more, matches] = &fields[..] else { return Err(strange()) };
        search.from = number(from).ok_or_else(strange)?;
        search.last_end = number(last_end);
        let matches = matches.as_array().ok_or_else(strange)?.values().collect();
        Ok(Batch { matches, next: 0, is_last: !more.truthy() })
    }

    /// Start, end and groups of the next match.
    pub(super) fn next(&mut self) -> Option<(usize, usize, Value)> {
        let [start, end, groups] = self.matches.get(self.next..self.next + 3)? else { return None };
        let place = (start.as_number()? as usize, end.as_number()? as usize, groups.clone());
        self.next += 3;
        Some(place)
    }

    /// Whether there are no matches behind these.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    pub(super) fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.matches.iter().for_each(visit);
    }
}

fn strange() -> Fault {
    Fault::error("pcre_replace(): the other thread answered something else")
}
