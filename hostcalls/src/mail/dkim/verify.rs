//! `verifyDKIM`.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mail::dkim::{KeyAnswer, Outcome, Verifier};
use mail::taglist::TagList;
use script::fault::Fault;
use script::host::{Host, HostCall};
use script::native::{Call, Native, NativeFrame, NativeRun, Next, Step};
use script::value::{Array, Resource, Value};

use super::super::MailPart;
use super::{function, job, unix_s};
use crate::dns;

/// Bytes of a message that are read at once: about 200 µs.
const INLINE_BYTES: usize = 16 * 1024;

pub(in crate::mail) const VERIFY: Native = Native::offloading(
    "verifyDKIM",
    "string headerfield [, array options]",
    (1, Some(2)),
    "Verifies a DKIM-Signature or ARC-Message-Signature of the original message. The field is the unmodified one with its \
     name, as getHeader gives it with the option field. Options: timeout (5 seconds for the DNS query), dns_function \
     (function(hostname), returns an array with result, the TXT record, or error, permerror or temperror). Returns an array \
     with result (pass, permerror or temperror), error if it did not pass, and tags if the field could be parsed.",
    (INLINE_BYTES, "the message"),
    start,
);

/// Reads the message: the argument is a [`Job`], the result too.
static WORK: Native = Native {
    name: "verifyDKIM",
    params: "resource job",
    doc: "Reads a message for a verification.",
    min_args: 1,
    max_args: Some(1),
    run: NativeRun::Sized { above_bytes: 0, run: work },
};

struct Job {
    original: Bytes,
    field: Bytes,
    now: u64,
    result: Mutex<Option<Result<Verifier, Outcome>>>,
}

impl Job {
    fn run(&self) -> Result<Verifier, Outcome> {
        let mut verifier = Verifier::new(&self.field, self.now)?;
        verifier.message(&self.original)?;
        Ok(verifier)
    }
}

fn start(call: &mut Call<'_>) -> Result<Step, Fault> {
    let options = call.options(1)?;
    let query = Query { function: options.function("dns_function")?, timeout_s: options.number("timeout")? };
    let field = Bytes::copy_from_slice(&call.str(0)?);
    let now = unix_s(call.host().now());
    let part: &MailPart = call.this()?;
    let original = part.message().borrow().original().clone();
    let at_once = original.len() <= INLINE_BYTES;
    let job = Job { original, field, now, result: Mutex::new(None) };
    if !at_once {
        let job: Arc<Job> = Arc::new(job);
        let args = vec![Value::Resource(Resource::new("DKIM", job))];
        let then = Box::new(Verifying { query, verifier: None });
        return Ok(Step::Call { function: function(&WORK), args, then });
    }
    Ok(match job.run() {
        Err(outcome) => Step::Return(result(&outcome)),
        Ok(verifier) => query.step(verifier),
    })
}

fn work(call: &mut Call<'_>) -> Result<Value, Fault> {
    let job: &Job = job(call.arg(0))?;
    let result = job.run();
    *job.result.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(result);
    Ok(call.arg(0).clone())
}

/// How to ask for the key.
struct Query {
    function: Option<Value>,
    timeout_s: Option<f64>,
}

impl Query {
    fn step(self, verifier: Verifier) -> Step {
        self.ask(&verifier).first(Verifying { query: self, verifier: Some(verifier) })
    }

    fn ask(&self, verifier: &Verifier) -> Next {
        let name = Value::from(verifier.query());
        if let Some(function) = &self.function {
            return Next::Call { function: function.clone(), args: vec![name] };
        }
        let mut options = Array::new();
        options.set_str("type", "txt");
        if let Some(timeout_s) = self.timeout_s {
            options.set_str("timeout", timeout_s);
        }
        let args = vec![name, options.into()];
        Next::Host(HostCall { function: dns::QUERY, name: "verifyDKIM", this: None, args })
    }
}

/// Waits first for the message to be read, if that was given away, then for the key.
struct Verifying {
    query: Query,
    verifier: Option<Verifier>,
}

impl NativeFrame for Verifying {
    fn resume(&mut self, result_of_call: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        if let Some(verifier) = self.verifier.take() {
            let answer = match self.query.function {
                Some(_) => answer_of_script(&result_of_call)?,
                None => answer_of_dns(&result_of_call),
            };
            return Ok(Next::Return(result(&verifier.finish(&answer))));
        }
        let job: &Job = job(&result_of_call)?;
        let read = job.result.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        match read.unwrap_or_else(|| job.run()) {
            Err(outcome) => Ok(Next::Return(result(&outcome))),
            Ok(verifier) => {
                let next = self.query.ask(&verifier);
                self.verifier = Some(verifier);
                Ok(next)
            }
        }
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.query.function.iter().for_each(visit);
    }
}

/// What `dns_function` returned.
fn answer_of_script(result: &Value) -> Result<KeyAnswer, Fault> {
    let wrong = || Fault::error("verifyDKIM(): dns_function must return an array with result or error");
    let array = result.as_array().ok_or_else(wrong)?;
    match (array.get_str("result"), array.get_str("error")) {
        (Some(Value::Str(text)), _) => Ok(KeyAnswer::Txt(vec![text.as_bytes().to_vec()])),
        (Some(Value::Array(list)), _) => Ok(KeyAnswer::Txt(texts(&list))),
        (_, Some(error)) => Ok(match error.as_bytes() {
            Some(b"permerror") => KeyAnswer::PermError("no key record".to_owned()),
            _ => KeyAnswer::TempError("the key record could not be had".to_owned()),
        }),
        _ => Err(wrong()),
    }
}

/// What `dns_query` returned. A name or record that does not exist is final; an answer that makes no sense is none
/// (RFC 6376, section 6.1.2).
fn answer_of_dns(result: &Value) -> KeyAnswer {
    let get = |key| result.as_array().and_then(|array| array.get_str(key));
    if let Some(Value::Array(list)) = get("result") {
        return KeyAnswer::Txt(texts(&list));
    }
    let error = get("error").map_or(String::new(), |error| {
        String::from_utf8_lossy(error.as_bytes().unwrap_or_default()).into_owned()
    });
    match error.as_str() {
        "NXDOMAIN" | "NO_DATA" => KeyAnswer::PermError(format!("no key record: {error}")),
        _ => KeyAnswer::TempError(format!("the key record could not be had: {error}")),
    }
}

fn texts(list: &Array) -> Vec<Vec<u8>> {
    list.values().filter_map(|value| value.as_bytes().map(<[u8]>::to_vec)).collect()
}

fn result(outcome: &Outcome) -> Value {
    let mut array = Array::new();
    array.set_str("result", outcome.verdict.name());
    if let Some(error) = &outcome.error {
        array.set_str("error", error.to_string());
    }
    if let Some(tags) = &outcome.tags {
        array.set_str("tags", tag_array(tags));
    }
    array.into()
}

fn tag_array(tags: &TagList) -> Array {
    let mut array = Array::new();
    for tag in tags {
        array.set(script::value::Key::from_value(tag.name.as_str().into()), tag.value.as_slice().into());
    }
    array
}
