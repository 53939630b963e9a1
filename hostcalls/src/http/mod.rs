//! `http`.

mod aws;
mod connect;
mod exchange;
mod options;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use net::http::{Header, Response};
use script::fault::Fault;
use script::host::{Host, HostCall};
use script::native::{Call, Native, NativeFrame, NativeRun, Next, Step};
use script::value::{Array, Value};

pub(crate) use aws::Signer;
use exchange::{Asked, Post};
use options::HttpOptions;

use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture};
use crate::offload::{Passthrough, offload};
use crate::{Execution, limits, numbers};

const EXCHANGE: u16 = numbers::HTTP;
const EXCHANGE_TOLD: u16 = numbers::HTTP + 1;

pub(crate) static FAMILY: Family = Family {
    natives: &[
        Native {
            name: "__http",
            params: "string url, array options [, array get [, string post]]",
            doc: "What http_background of extras://http-background runs: http, with a text instead of none.",
            min_args: 2,
            max_args: Some(4),
            run: NativeRun::Host(EXCHANGE_TOLD),
        },
        Native::frame(
            "http",
            "string url [, array options [, array get [, array, string or function post]]]",
            (1, Some(4)),
            "Makes an HTTP request. $1, $2... in the URL stand for the items of get, encoded. post is an array of form \
         fields, a body, or a function(maxbytes) that gives the next piece of a body and an empty one at its end. \
         Gives the body of a response with status 2xx, otherwise none; with extended_result an array of status and \
         content, and with response_headers also headers.",
            http,
        ),
    ],
    host: &[
        HostFunction { number: EXCHANGE, run: run_exchange },
        HostFunction { number: EXCHANGE_TOLD, run: run_exchange_told },
    ],
    ..Family::EMPTY
};

/// A request of this program itself.
pub(crate) struct Submission {
    pub(crate) url: String,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
    pub(crate) verify: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) signer: Option<Signer>,
}

/// Posts it. Without a response: why.
pub(crate) async fn submit(
    execution: &Rc<Execution>,
    submission: Submission,
) -> Result<Response, &'static str> {
    let options = HttpOptions {
        headers: submission.headers,
        connect_timeout: submission.connect_timeout,
        timeout: Some(submission.timeout),
        verify_peer: submission.verify,
        verify_host: submission.verify,
        signer: submission.signer,
        ..HttpOptions::default()
    };
    let asked =
        Asked { url: submission.url.into(), options, post: Some(Post { body: submission.body.into() }) };
    exchange::run(execution, asked).await.map_err(|failed| failed.text())
}

fn http(call: &mut Call<'_>) -> Result<Step, Fault> {
    let mut args = call.args().to_vec();
    // What is wrong with the options is said before a function is asked for a body.
    HttpOptions::from(&call.options(1)?)?;
    match args.get(3) {
        Some(function @ Value::Function(_)) => {
            let function = function.clone();
            args.truncate(3);
            let first = vec![limits::HTTP_POST_PIECE_BYTES.into()];
            let then = Box::new(Collect { function: function.clone(), args, body: Some(Vec::new()) });
            Ok(Step::Call { function, args: first, then })
        }
        _ => Ok(Step::Host { call: host_call(args), then: Box::new(Passthrough) }),
    }
}

fn host_call(args: Vec<Value>) -> HostCall {
    HostCall { function: EXCHANGE, name: "http", this: None, args }
}

/// Asks the script's function for the pieces of a body. They are kept until the last one has come, so that the request
/// says how long it is and can be repeated for a redirect.
struct Collect {
    function: Value,
    args: Vec<Value>,
    /// None: the request is made.
    body: Option<Vec<u8>>,
}

impl NativeFrame for Collect {
    fn resume(&mut self, result: Value, _: &mut dyn Host) -> Result<Next, Fault> {
        let Some(body) = &mut self.body else { return Ok(Next::Return(result)) };
        let kind = result.type_name();
        let piece = result.as_bytes().ok_or_else(|| {
            Fault::error(format!("http(): the function for the body must give a string, not {kind}"))
        })?;
        body.extend_from_slice(piece);
        if body.len() > limits::HTTP_POST_BYTES_MAX {
            let most = limits::HTTP_POST_BYTES_MAX;
            return Err(Fault::error(format!("http(): the body is longer than {most} bytes")));
        }
        if !piece.is_empty() {
            let args = vec![limits::HTTP_POST_PIECE_BYTES.into()];
            return Ok(Next::Call { function: self.function.clone(), args });
        }
        let mut args = std::mem::take(&mut self.args);
        args.resize(3, Value::None);
        args.push(self.body.take().unwrap_or_default().into());
        Ok(Next::Host(host_call(args)))
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.function);
        self.args.iter().for_each(visit);
    }
}

fn run_exchange(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let options = HttpOptions::from(&call.options(1)?)?.with_source(execution.environment())?;
        let (extended, headers) = (options.extended_result, options.response_headers);
        let Ok(response) = exchange::run(&execution, asked(&call, options).await?).await else {
            return Ok(Value::None);
        };
        let success = (200..300).contains(&response.status);
        if !extended && !success {
            return Ok(Value::None);
        }
        if !extended && !headers {
            return Ok(response.body.into());
        }
        Ok(described(response, extended, headers))
    })
}

/// The same, always with the extended result, and a text where there is no response.
fn run_exchange_told(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let options = HttpOptions::from(&call.options(1)?)?.with_source(execution.environment())?;
        let headers = options.response_headers;
        Ok(match exchange::run(&execution, asked(&call, options).await?).await {
            Ok(response) => described(response, true, headers),
            Err(failed) => failed.text().into(),
        })
    })
}

async fn asked(call: &HostCall, options: HttpOptions) -> Result<Asked, Fault> {
    let url = fill_in(&call.str(0)?, &call.opt_array(2)?.unwrap_or_default())?;
    let post = match call.arg(3) {
        Value::None => None,
        Value::Str(body) => Some(Post { body: body.as_bytes().to_vec().into() }),
        Value::Array(fields) => Some(Post { body: posted(fields).await?.into() }),
        _ => return Err(call.wrong(3, "an array, a string or a function")),
    };
    Ok(Asked { url, options, post })
}

fn described(response: Response, extended: bool, headers: bool) -> Value {
    let mut result = Array::new();
    if extended {
        result.set_str("status", u32::from(response.status));
    }
    result.set_str("content", response.body);
    if headers {
        let pair = |(name, value): &(Vec<u8>, Vec<u8>)| -> Value {
            vec![Value::from(&name[..]), Value::from(&value[..])].into()
        };
        result.set_str("headers", response.headers.iter().map(pair).collect::<Vec<_>>());
    }
    result.into()
}

/// The URL with `$1`, `$2`... replaced. A number that no item has is left as it is.
fn fill_in(url: &[u8], items: &Array) -> Result<Vec<u8>, Fault> {
    let items: Vec<Value> = items.values().collect();
    let mut filled = Vec::with_capacity(url.len());
    let mut rest = url;
    while let Some((byte, tail)) = rest.split_first() {
        let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).take(4).count();
        let number =
            std::str::from_utf8(&tail[..digits]).ok().and_then(|digits| digits.parse::<usize>().ok());
        let item = number.and_then(|number| items.get(number.checked_sub(1)?));
        match item.filter(|_| *byte == b'$') {
            Some(item) => {
                encode(item.to_text()?.as_bytes(), &mut filled);
                rest = &tail[digits..];
            }
            None => {
                filled.push(*byte);
                rest = tail;
            }
        }
    }
    Ok(filled)
}

/// A form as a body, written on another thread if it is long.
async fn posted(fields: &Array) -> Result<Vec<u8>, Fault> {
    if !is_long(fields) {
        return form(fields);
    }
    let frozen = Value::Array(fields.clone()).freeze()?;
    let write = move || {
        let fields = Value::from_frozen(&frozen);
        let fields = fields.as_array().expect("it was one");
        form(fields).map_err(|fault| fault.to_string())
    };
    offload("http", write).await?.map_err(Fault::error)
}

/// Whether a form has more bytes, or fields that take as long, than a shard writes itself.
fn is_long(fields: &Array) -> bool {
    const FIELD: usize = 64;
    let bytes = fields.iter().map(|(name, value)| {
        FIELD + name.into_value().as_bytes().map_or(0, <[u8]>::len) + value.as_bytes().map_or(0, <[u8]>::len)
    });
    let mut sum = 0;
    bytes.into_iter().any(|bytes| {
        sum += bytes;
        sum > limits::HTTP_FORM_INLINE_BYTES
    })
}

fn form(fields: &Array) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    for (name, value) in fields.iter() {
        if !body.is_empty() {
            body.push(b'&');
        }
        encode(name.into_value().to_text()?.as_bytes(), &mut body);
        body.push(b'=');
        encode(value.to_text()?.as_bytes(), &mut body);
    }
    Ok(body)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Percent encoding of all that RFC 3986 2.3 does not call unreserved.
fn encode(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}
