//! `pcre_replace`.

use super::places::{Batch, PLACES};
use super::{Groups, On, Pattern, Search, in_full, match_array};
use crate::fault::Fault;
use crate::host::Host;
use crate::limits::INLINE_REPLACED_BYTES;
use crate::native::{Call, Native, NativeFrame, Next, Step};
use crate::ops;
use crate::value::{Frozen, Str, Value};

/// Replacing with a function: waits for the text of each match, or for another thread that finds the next ones.
struct Replace {
    function: Value,
    work: Work,
    /// What the other thread is asked with.
    frozen: Option<(Frozen, Frozen)>,
    /// What it has found.
    batch: Batch,
    waits_for: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Text,
    Batch,
}

/// The subject, as far as it is done.
struct Work {
    pattern: Pattern,
    subject: Str,
    groups: Groups,
    search: Search,
    left: usize,
    /// Where the part of the subject begins that is not yet in `out`.
    copied: usize,
    out: Vec<u8>,
}

/// What runs on another thread.
static LONG: Native = Native::sized(
    "pcre_replace",
    "Regex or string pattern, string replace, string subject [, number limit = 0]",
    (3, Some(4)),
    "",
    0,
    |call| in_full(call, with_template),
);

pub(super) fn start(call: &mut Call<'_>) -> Result<Step, Fault> {
    match call.arg(1) {
        Value::Str(_) => super::start(call, &LONG, with_template),
        function @ Value::Function(_) => {
            let function = function.clone();
            let work = Work::begin(call, On::Shard)?;
            let replace =
                Replace { function, work, frozen: None, batch: Batch::default(), waits_for: Answer::Text };
            replace.start()
        }
        _ => Err(call.wrong(1, "a string or a function")),
    }
}

fn with_template(call: &mut Call<'_>, on: On) -> Result<Option<Value>, Fault> {
    let template = call.str(1)?;
    Work::begin(call, on)?.with_template(&template, call.host())
}

impl Work {
    fn begin(call: &mut Call<'_>, on: On) -> Result<Work, Fault> {
        let pattern = call.pattern(0)?;
        let subject = call.str(2)?;
        let limit = call.opt_integer(3)?.unwrap_or(0);
        let left = if limit > 0 { limit as usize } else { usize::MAX };
        let groups = pattern.groups();
        Ok(Work { pattern, subject, groups, search: Search::new(on), left, copied: 0, out: Vec::new() })
    }

    fn with_template(mut self, template: &Str, host: &dyn Host) -> Result<Option<Value>, Fault> {
        while self.left > 0 {
            match self.search.next(&self.pattern, &mut self.groups, &self.subject, host)? {
                Some(true) => {}
                Some(false) => break,
                None => return Ok(None),
            }
            let (start, end) = self.groups.get(0).unwrap_or_default();
            self.skip_to(start, end);
            self.expand(template);
            ops::check_length(self.out.len())?;
            if self.search.on == On::Shard && self.out.len() > INLINE_REPLACED_BYTES {
                return Ok(None);
            }
        }
        self.finish().map(Some)
    }

    /// Copies what is before the next match.
    fn skip_to(&mut self, start: usize, end: usize) {
        self.left -= 1;
        // With \K and in look-arounds a match may reach back.
        let start = start.max(self.copied);
        self.out.extend_from_slice(&self.subject[self.copied..start]);
        self.copied = end.max(start);
    }

    /// Appends the template with the groups in place of `$0` to `$99`. Two digits count where there are so many groups.
    fn expand(&mut self, template: &[u8]) {
        let mut rest = template;
        while let Some(at) = memchr::memchr(b'$', rest) {
            self.out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            let digit = |at: usize| {
                rest.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| usize::from(byte - b'0'))
            };
            let Some(first) = digit(0) else {
                self.out.push(b'$');
                continue;
            };
            let both =
                digit(1).map(|second| first * 10 + second).filter(|group| *group < self.groups.count());
            let (group, digits) = both.map_or((first, 1), |group| (group, 2));
            if let Some((start, end)) = self.groups.get(group) {
                self.out.extend_from_slice(&self.subject[start..end]);
            }
            rest = &rest[digits..];
        }
        self.out.extend_from_slice(rest);
    }

    fn finish(&mut self) -> Result<Value, Fault> {
        if self.copied == 0 && self.out.is_empty() {
            return Ok(self.subject.clone().into());
        }
        self.out.extend_from_slice(&self.subject[self.copied..]);
        ops::check_length(self.out.len())?;
        Ok(std::mem::take(&mut self.out).into())
    }
}

impl Replace {
    fn start(mut self) -> Result<Step, Fault> {
        Ok(self.advance()?.first(self))
    }

    fn advance(&mut self) -> Result<Next, Fault> {
        let work = &mut self.work;
        if work.left == 0 {
            return work.finish().map(Next::Return);
        }
        if let Some((start, end, groups)) = self.batch.next() {
            work.skip_to(start, end);
            return Ok(Next::Call { function: self.function.clone(), args: vec![groups] });
        }
        if self.batch.is_last() {
            return work.finish().map(Next::Return);
        }
        // Once too long, then the rest is, too.
        if self.frozen.is_none() {
            match work.search.find(&work.pattern, &mut work.groups, &work.subject)? {
                Some(true) => {
                    let (start, end) = work.groups.get(0).unwrap_or_default();
                    work.skip_to(start, end);
                    let groups = match_array(&work.pattern, &work.groups, &work.subject, true);
                    return Ok(Next::Call { function: self.function.clone(), args: vec![groups.into()] });
                }
                Some(false) => return work.finish().map(Next::Return),
                None => {}
            }
        }
        self.ask()
    }

    /// Lets the other thread find the next matches.
    fn ask(&mut self) -> Result<Next, Fault> {
        let work = &self.work;
        let (pattern, subject) =
            self.frozen.get_or_insert_with(|| (work.pattern.freeze(), Frozen::Str(work.subject.freeze())));
        let last_end = work.search.last_end.map_or(Frozen::None, |end| Frozen::Number(end as f64));
        let args = vec![pattern.clone(), subject.clone(), Frozen::Number(work.search.from as f64), last_end];
        self.waits_for = Answer::Batch;
        Ok(Next::Offload { native: &PLACES, args })
    }
}

impl NativeFrame for Replace {
    fn resume(&mut self, result: Value, _: &mut dyn Host) -> Result<Next, Fault> {
        if self.waits_for == Answer::Batch {
            self.batch = Batch::read(&result, &mut self.work.search)?;
            self.waits_for = Answer::Text;
            return self.advance();
        }
        if result.is_none() {
            return Err(Fault::error("pcre_replace(): the function returned none instead of a string"));
        }
        result.write_text(&mut self.work.out)?;
        ops::check_length(self.work.out.len())?;
        self.advance()
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.function);
        visit(&Value::Str(self.work.subject.clone()));
        self.batch.for_each_value(visit);
    }

    fn size_bytes(&self) -> usize {
        size_of::<Replace>() + self.work.out.capacity()
    }
}
