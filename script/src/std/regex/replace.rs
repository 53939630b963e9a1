//! `pcre_replace`.

use super::{Groups, Pattern, Search, match_array};
use crate::fault::Fault;
use crate::host::Host;
use crate::limits::OFFLOAD_ABOVE_BYTES;
use crate::native::{Call, Native, NativeFrame, NativeRun, Next, Step};
use crate::ops;
use crate::value::{Str, Value};

/// Replacing with a function: waits for the text of each match.
struct Replace {
    function: Value,
    work: Work,
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
static LONG: Native = Native {
    name: "pcre_replace",
    params: "Regex or string pattern, string replace, string subject [, number limit = 0]",
    doc: "",
    min_args: 3,
    max_args: Some(4),
    run: NativeRun::Sized { above_bytes: OFFLOAD_ABOVE_BYTES, run: with_template },
};

pub(super) fn start(call: &mut Call<'_>) -> Result<Step, Fault> {
    match call.arg(1) {
        Value::Str(_) if call.str(2)?.len() > OFFLOAD_ABOVE_BYTES => Step::offload(&LONG, call),
        Value::Str(_) => with_template(call).map(Step::Return),
        function @ Value::Function(_) => {
            let function = function.clone();
            let work = Work::begin(call)?;
            Replace { function, work }.start(call.host())
        }
        _ => Err(call.wrong(1, "a string or a function")),
    }
}

fn with_template(call: &mut Call<'_>) -> Result<Value, Fault> {
    let template = call.str(1)?;
    Work::begin(call)?.with_template(&template, call.host())
}

impl Work {
    fn begin(call: &mut Call<'_>) -> Result<Work, Fault> {
        let pattern = call.pattern(0)?;
        let subject = call.str(2)?;
        let limit = call.opt_integer(3)?.unwrap_or(0);
        let left = if limit > 0 { limit as usize } else { usize::MAX };
        let groups = pattern.groups();
        Ok(Work { pattern, subject, groups, search: Search::default(), left, copied: 0, out: Vec::new() })
    }

    fn with_template(mut self, template: &Str, host: &dyn Host) -> Result<Value, Fault> {
        while let Some((start, end)) = self.next(host)? {
            self.out.extend_from_slice(&self.subject[self.copied..start]);
            self.expand(template);
            self.copied = end;
            ops::check_length(self.out.len())?;
        }
        self.finish()
    }

    /// The position of the next match that is to be replaced.
    fn next(&mut self, host: &dyn Host) -> Result<Option<(usize, usize)>, Fault> {
        if self.left == 0 || !self.search.next(&self.pattern, &mut self.groups, &self.subject, host)? {
            return Ok(None);
        }
        self.left -= 1;
        let (start, end) = self.groups.get(0).unwrap_or_default();
        // With \K and in look-arounds a match may reach back.
        let start = start.max(self.copied);
        Ok(Some((start, end.max(start))))
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
    fn start(mut self, host: &dyn Host) -> Result<Step, Fault> {
        Ok(match self.advance(host)? {
            Next::Call { function, args } => Step::Call { function, args, then: Box::new(self) },
            Next::Return(value) => Step::Return(value),
            Next::Host(_) => unreachable!("only the script is called"),
        })
    }

    fn advance(&mut self, host: &dyn Host) -> Result<Next, Fault> {
        let work = &mut self.work;
        let Some((start, end)) = work.next(host)? else { return work.finish().map(Next::Return) };
        work.out.extend_from_slice(&work.subject[work.copied..start]);
        work.copied = end;
        let groups = match_array(&work.pattern, &work.groups, &work.subject, true);
        Ok(Next::Call { function: self.function.clone(), args: vec![groups.into()] })
    }
}

impl NativeFrame for Replace {
    fn resume(&mut self, result: Value, host: &mut dyn Host) -> Result<Next, Fault> {
        if result.is_none() {
            return Err(Fault::error("pcre_replace(): the function returned none instead of a string"));
        }
        result.write_text(&mut self.work.out)?;
        ops::check_length(self.work.out.len())?;
        self.advance(host)
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.function);
        visit(&Value::Str(self.work.subject.clone()));
    }

    fn size_bytes(&self) -> usize {
        size_of::<Replace>() + self.work.out.capacity()
    }
}
