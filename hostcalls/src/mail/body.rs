//! `getBody` and `setBody` of `MIMEPart`.

use mail::lines;
use mail::message::BodyForm;
use script::fault::Fault;
use script::host::Host;
use script::native::{Call, Native, NativeFrame, NativeRun, Next, Step};
use script::value::{Object, Str, Value};

use super::message::{INLINE_BYTES, MailPart};
use super::part::read;
use super::search::LOOK;
use super::{shared, this, weigh};

pub(super) const GET_BODY: Native = Native::weighed(
    "getBody",
    "[array options]",
    (0, Some(1)),
    "The body without its transfer encoding. Option: decode (true).",
    (INLINE_BYTES, "the header and the body"),
    weigh::body,
    get_body,
);

pub(super) const SET_BODY: Native = Native::offloading(
    "setBody",
    "string body [, array options]",
    (1, Some(2)),
    "Replaces the body, in the most readable transfer encoding; lines of text get CRLF at their ends. Option: encoding, \
     when it is in that one already.",
    (INLINE_BYTES, "the body"),
    set_body,
);

/// What of setBody runs on another thread: the body as it stands in the message, and the encoding's name.
static WRITE: Native = Native {
    name: "setBody",
    params: "string body, string form, any encoding",
    doc: "",
    min_args: 3,
    max_args: Some(3),
    run: NativeRun::Sized {
        above_bytes: INLINE_BYTES,
        run: |call| {
            let body = call.str(0)?;
            let form = BodyForm::named(&call.str(1)?).expect("it is the name of one");
            let (body, encoding) = match call.arg(2) {
                Value::Str(encoding) => (lines::with_crlf(shared(&body)), Value::Str(encoding.clone())),
                _ => {
                    let (body, encoding) = form.write(body.as_bytes());
                    (body, encoding.into())
                }
            };
            Ok(vec![Value::from(&body[..]), encoding].into())
        },
    },
};

fn get_body(call: &mut Call<'_>) -> Result<Value, Fault> {
    let decode = call.options(0)?.boolean("decode", true)?;
    let size = read(call, |part| part.raw_body().len())?;
    call.charge(size)?;
    read(call, |part| match decode {
        true => part.body().into_owned().into(),
        false => part.raw_body().into(),
    })
}

fn set_body(call: &mut Call<'_>) -> Result<Step, Fault> {
    let body = call.str(0)?;
    call.charge(body.len())?;
    let encoding = call.options(1)?.str("encoding")?;
    let mut frame = Replacing { part: this(call)?, stage: Stage::Look { body, encoding } };
    if call.this::<MailPart>()?.message().borrow().look() {
        return Ok(frame.begin()?.first(frame));
    }
    let args = vec![frame.part.freeze()?];
    Ok(Step::Offload { native: &LOOK, args, then: Some(Box::new(frame)) })
}

/// What is awaited.
enum Stage {
    /// The parts of the message are being found.
    Look { body: Str, encoding: Option<Str> },
    /// The body is being written.
    Write,
}

/// Gives a part another body.
struct Replacing {
    part: Value,
    stage: Stage,
}

impl Replacing {
    fn object(&self) -> &MailPart {
        self.part.as_object().and_then(Object::downcast).expect("set_body has seen that it is one")
    }

    /// The parts of the message are known.
    fn begin(&mut self) -> Result<Next, Fault> {
        let Stage::Look { body, encoding } = std::mem::replace(&mut self.stage, Stage::Write) else {
            unreachable!("it begins once")
        };
        let object = self.object();
        let mut message = object.message().borrow_mut();
        if body.len() > INLINE_BYTES {
            let form = message.body_form(object.part()).map_err(failed)?.name();
            let encoding = encoding.map_or(Value::None, Value::Str).freeze()?;
            let args = vec![Value::Str(body).freeze()?, Value::from(form).freeze()?, encoding];
            return Ok(Next::Offload { native: &WRITE, args });
        }
        let edited = match encoding {
            Some(encoding) => {
                let encoding = encoding.to_string_lossy().into_owned();
                message.set_encoded_body(object.part(), shared(&body), &encoding)
            }
            None => message.set_body(object.part(), body.as_bytes()),
        };
        edited.map_err(failed)?;
        Ok(Next::Return(self.part.clone()))
    }
}

fn failed(error: mail::message::EditError) -> Fault {
    Fault::error(format!("setBody(): {error}"))
}

impl NativeFrame for Replacing {
    fn resume(&mut self, result: Value, _: &mut dyn Host) -> Result<Next, Fault> {
        if let Stage::Look { .. } = self.stage {
            return self.begin();
        }
        let pair = result.as_array().map(|pair| (pair.get_index(0), pair.get_index(1)));
        let Some((Some(Value::Str(body)), Some(Value::Str(encoding)))) = pair else {
            unreachable!("WRITE gives two strings")
        };
        let (object, encoding) = (self.object(), encoding.to_string_lossy());
        let edited = object.message().borrow_mut().set_written_body(object.part(), shared(&body), &encoding);
        edited.map_err(failed)?;
        Ok(Next::Return(self.part.clone()))
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.part);
        if let Stage::Look { body, .. } = &self.stage {
            visit(&Value::Str(body.clone()));
        }
    }
}
