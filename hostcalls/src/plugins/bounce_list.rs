//! `bounce-list`: patterns of what servers say, and what they mean.

use std::rc::Rc;

use script::fault::Fault;
use script::host::HostCall;
use script::std::regex::Pattern;
use script::value::{Array, Value};

use super::lines;
use crate::arguments::Arguments;
use crate::library::HostFuture;
use crate::limits::{LIST_ENTRIES_MAX, LIST_MATCHING};
use crate::{Execution, offload};

/// A list, in its order: the first entry that matches counts.
#[derive(Debug, Default)]
pub(super) struct BounceList(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// As it stands in the file.
    text: String,
    pattern: Pattern,
    value: String,
    /// Empty: any.
    groupings: Vec<String>,
    /// Empty: any.
    state: String,
}

/// What is asked.
struct Asked {
    code: Vec<u8>,
    grouping: Option<String>,
    state: Option<String>,
}

impl BounceList {
    /// Reads lines of `pattern,value[,groupings[,state[,comment]]]` in CSV.
    pub(super) fn read(text: &[u8], wrong: &mut dyn FnMut(usize, &str)) -> BounceList {
        let mut list = BounceList::default();
        lines::each(text, wrong, &mut |line| list.add(line));
        list
    }

    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        if self.0.len() >= LIST_ENTRIES_MAX {
            return Err(format!("there are more than {LIST_ENTRIES_MAX} entries"));
        }
        let fields = fields(line)?;
        let field = |at: usize| fields.get(at).map_or("", |field| field.trim());
        let text = field(0).to_owned();
        let (body, mut flags) = match text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
            Some((body, flags)) => (body, flags.to_owned()),
            None => (&*text, String::new()),
        };
        if !flags.contains('i') {
            flags.push('i');
        }
        let pattern =
            Pattern::compile(body.as_bytes(), flags.as_bytes()).map_err(|fault| fault.to_string())?;
        let groupings = field(2).split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        self.0.push(Entry {
            pattern,
            value: field(1).to_owned(),
            groupings: groupings.collect(),
            state: field(3).to_owned(),
            text,
        });
        Ok(())
    }

    fn find(&self, asked: &Asked) -> Result<Option<&Entry>, Fault> {
        let begun = crate::time::monotonic_s();
        for entry in &self.0 {
            let grouping = entry.groupings.is_empty()
                || asked.grouping.as_ref().is_some_and(|grouping| entry.groupings.contains(grouping));
            let state = entry.state.is_empty()
                || asked.state.as_ref().is_some_and(|state| entry.state.eq_ignore_ascii_case(state));
            if grouping && state && entry.pattern.is_match(&asked.code)? {
                return Ok(Some(entry));
            }
            if crate::time::monotonic_s() - begun > LIST_MATCHING.as_secs_f64() {
                return Err(Fault::error(format!("the patterns took longer than {LIST_MATCHING:?}")));
            }
        }
        Ok(None)
    }
}

/// One record of CSV.
fn fields(line: &[u8]) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    loop {
        let quoted = rest.strip_prefix('"');
        let Some(inside) = quoted else {
            let end = rest.find(',').unwrap_or(rest.len());
            fields.push(rest[..end].to_owned());
            match rest.get(end + 1..) {
                Some(more) => rest = more,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        let mut chars = inside.char_indices();
        let end = loop {
            match chars.next() {
                Some((at, '"')) if inside[at + 1..].starts_with('"') => {
                    field.push('"');
                    chars.next();
                }
                Some((at, '"')) => break at + 1,
                Some((_, other)) => field.push(other),
                None => return Err("a quotation mark is missing".to_owned()),
            }
        };
        fields.push(field);
        match inside[end..].strip_prefix(',') {
            Some(more) => rest = more,
            None if inside[end..].trim().is_empty() => return Ok(fields),
            None => return Err("a comma is missing after a quoted field".to_owned()),
        }
    }
}

/// `bounce_list(id, diagnosticcode [, grouping [, state]])`. The patterns run on another thread: there may be thousands.
pub(super) fn bounce_list(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let name = "bounce_list";
        let id = call.str(0)?.to_string_lossy().into_owned();
        let list = execution.environment.settings.plugins.bounce_lists.get(&id).cloned();
        let list =
            list.ok_or_else(|| Fault::error(format!("{name}(): there is no list \"{id}\" in plugins")))?;
        let text =
            |index| call.opt_str(index).map(|text| text.map(|text| text.to_string_lossy().into_owned()));
        let asked = Asked { code: call.str(1)?.as_bytes().to_vec(), grouping: text(2)?, state: text(3)? };
        let found = offload::offload(name, move || {
            let found = list.find(&asked).map_err(|fault| fault.to_string())?;
            Ok::<_, String>(found.map(|entry| (entry.text.clone(), entry.value.clone())))
        });
        let Some((pattern, value)) =
            found.await?.map_err(|error| Fault::error(format!("{name}(): {error}")))?
        else {
            return Ok(Value::None);
        };
        let mut result = Array::new();
        result.set_str("pattern", pattern.as_str());
        result.set_str("value", value.as_str());
        Ok(result.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(list: &str, code: &str, grouping: Option<&str>, state: Option<&str>) -> Option<String> {
        let list = BounceList::read(list.as_bytes(), &mut |line, what| panic!("{line}: {what}"));
        let asked = Asked {
            code: code.as_bytes().to_vec(),
            grouping: grouping.map(str::to_owned),
            state: state.map(str::to_owned),
        };
        list.find(&asked).unwrap().map(|entry| entry.value.clone())
    }

    const LIST: &str = "# pattern,value,groupings,state,comment
/quota EXCEEDED\\./,full at end,&g,EOD
/quota exceeded\\./,full,&g
\"/^5\\d\\d,/\",\"a, \"\"b\"\"\"
/5\\.7\\.1/,blocked,\"&h, &m\",,what others say
/.*/,other
";

    #[test]
    fn the_first_entry_of_the_grouping_and_state_counts() {
        for (code, grouping, state, expected) in [
            ("550 Quota exceeded.", Some("&g"), Some("eod"), "full at end"),
            ("550 Quota exceeded.", Some("&g"), Some("RCPT"), "full"),
            ("550 Quota exceeded.", None, Some("EOD"), "other"),
            ("550, no", None, None, "a, \"b\""),
            ("550 5.7.1 no", Some("&m"), None, "blocked"),
            ("550 5.7.1 no", Some("&x"), None, "other"),
        ] {
            assert_eq!(value(LIST, code, grouping, state).as_deref(), Some(expected), "{code} {grouping:?}");
        }
        assert_eq!(value("/no/,x", "yes", None, None), None);
    }

    #[test]
    fn wrong_lines_are_told_and_left_out() {
        let mut told = Vec::new();
        let list = BounceList::read(b"/(/,x\n\"/a/,y\n\"/b/\"z\n/c/,good", &mut |line, what| {
            told.push(format!("{line}: {what}"));
        });
        assert_eq!(list.0.len(), 1);
        assert!(told[0].starts_with("1: bad regular expression"), "{told:?}");
        assert_eq!(
            told[1..],
            ["2: a quotation mark is missing", "3: a comma is missing after a quoted field"]
        );
    }
}
