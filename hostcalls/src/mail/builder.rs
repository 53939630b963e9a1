//! The class `MIME`: builds messages and parts.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use mail::build::{BuildError, Builder};
use mail::message::ValueForm;
use script::fault::Fault;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun, Step};
use script::value::{Frozen, FrozenObject, Object, Value};

use super::message::MailPart;
use super::weigh::{self, HEADER_BYTES};
use super::{boundary, now, shared, this};
use crate::arguments::Arguments;
use crate::offload::{ask, offload};
use crate::{HostFunction, numbers};

/// The class.
pub(super) static MIME: NativeClass = NativeClass {
    name: "MIME",
    doc: "A message or part in the making. Setters return the object.",
    extends: None,
    constructor: Some(Native::inline("MIME", "", (0, Some(0)), "An empty text part.", construct)),
    methods: METHODS,
    statics: &[],
};

static METHODS: &[Native] = &[
    Native::weighed(
        "addHeader",
        "string name, string value [, array options]",
        (2, Some(3)),
        "Adds a header, folded and encoded unless the option encode is false.",
        (HEADER_BYTES, "the arguments"),
        weigh::built_field,
        add_header,
    ),
    Native::weighed(
        "appendPart",
        "MIME part",
        (1, Some(1)),
        "Adds a copy of a MIME, MIMEPart or MailMessage as child. The type is to be set to a multipart.",
        (PART_BYTES, "the part"),
        weigh::part,
        append_part,
    ),
    Native::inline(
        "setBody",
        "string body",
        (1, Some(1)),
        "The content, encoded as quoted-printable or base64 unless a Content-Transfer-Encoding was added; what \
         stands before the first part when there are parts.",
        set_body,
    ),
    Native::inline(
        "setType",
        "string type",
        (1, Some(1)),
        "The Content-Type; text/plain if not set.",
        set_type,
    ),
    Native::inline("setBoundary", "string boundary", (1, Some(1)), "The boundary of parts.", set_boundary),
    Native::inline(
        "setDate",
        "[number timestamp]",
        (0, Some(1)),
        "The Date header; now if not given.",
        set_date,
    ),
    Native::inline(
        "setFileName",
        "string name",
        (1, Some(1)),
        "The file name of an attachment.",
        set_file_name,
    ),
    Native::inline(
        "setDisposition",
        "string disposition",
        (1, Some(1)),
        "The Content-Disposition: attachment or inline.",
        set_disposition,
    ),
    super::dkim::SIGN_MIME,
    Native::sized("toString", "", (0, Some(0)), "The full source.", BUILT_BYTES, to_string),
    Native::offloading(
        "toFile",
        "",
        (0, Some(0)),
        "The full source as a File in memory.",
        (BUILT_BYTES, "the message"),
        to_file,
    ),
    QUEUE,
    SEND,
];

pub(super) const QUEUE: Native = Native {
    name: "queue",
    params: "any sender, any recipient, string transportid [, array options]",
    doc: "Puts the message into the queue at once, in a transaction of its own; an array with transaction and queue, which name \
          the item. Options: metadata, hold, jobid, tenantid, quotas, delay, dsn, priority. In hsh it goes to the running server.",
    min_args: 3,
    max_args: Some(4),
    run: NativeRun::Host(super::queue::QUEUE),
};
pub(super) const SEND: Native = Native {
    name: "send",
    params: "any sender, any recipients, any server",
    doc: "Sends the message by SMTP, to all recipients or to none. The server is the id of a transport or an array (host, \
          port, helo, tls and so on). An array with result (code, enhanced, reason, state) or error (temporary, message), \
          connection and tls.",
    min_args: 3,
    max_args: Some(3),
    run: NativeRun::Host(crate::smtp::SEND),
};

/// The largest message that a shard writes itself: its body may be encoded, byte by byte.
const BUILT_BYTES: usize = 16 * 1024;
/// The same for a part that goes into another message.
pub(super) const PART_BYTES: usize = BUILT_BYTES;

/// An object of class `MIME`.
pub struct MimeObject {
    /// Copied when it changes while copies of it are on their way.
    builder: RefCell<Arc<Builder>>,
}

impl MimeObject {
    fn new(builder: Builder) -> MimeObject {
        MimeObject { builder: RefCell::new(Arc::new(builder)) }
    }

    /// What it builds.
    pub fn builder(&self) -> &RefCell<Arc<Builder>> {
        &self.builder
    }

    /// The full source, as it is now; the pool writes a large one. `name` is the function to name in errors.
    pub(crate) async fn source(&self, name: &str) -> Result<Bytes, Fault> {
        // The copy shares all texts.
        let builder = self.builder.borrow().clone();
        match builder.size_bytes() {
            0..=BUILT_BYTES => Ok(builder.to_bytes().into()),
            _ => Ok(offload(name, move || builder.to_bytes()).await?.into()),
        }
    }
}

impl HostObject for MimeObject {
    fn class(&self) -> &'static NativeClass {
        &MIME
    }

    fn freeze(&self) -> Option<Frozen> {
        Some(Frozen::Object(Arc::new(FrozenBuilder(Arc::clone(&self.builder.borrow())))))
    }

    fn adopt(&self, changed: &Object) -> bool {
        let Some(changed) = changed.downcast::<MimeObject>() else { return false };
        self.builder.swap(&changed.builder);
        changed.builder.borrow().size_bytes() > BUILT_BYTES
    }

    fn size_bytes(&self) -> usize {
        self.builder.borrow().size_bytes()
    }
}

struct FrozenBuilder(Arc<Builder>);

impl FrozenObject for FrozenBuilder {
    fn thaw(self: Arc<Self>) -> Object {
        Object::host(MimeObject { builder: RefCell::new(Arc::clone(&self.0)) })
    }

    fn size_bytes(&self) -> usize {
        self.0.size_bytes()
    }
}

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    let boundary = boundary(call.host());
    Ok(Object::host(MimeObject::new(Builder::new(&boundary))).into())
}

/// Changes the builder and returns the object.
fn change(
    call: &Call<'_>,
    change: impl FnOnce(&mut Builder) -> Result<(), BuildError>,
) -> Result<Value, Fault> {
    let object: &MimeObject = call.this()?;
    change(Arc::make_mut(&mut object.builder.borrow_mut())).map_err(|error| call.error(error))?;
    this(call)
}

fn add_header(call: &mut Call<'_>) -> Result<Value, Fault> {
    let form = value_form(call, 2)?;
    let (name, value) = (call.str(0)?, call.str(1)?);
    change(call, |builder| builder.add_header(name.as_bytes(), value.as_bytes(), form))
}

/// The option `encode` in the argument `index`.
pub(super) fn value_form(call: &Call<'_>, index: usize) -> Result<ValueForm, Fault> {
    let encode = call.options(index)?.boolean("encode", true)?;
    Ok(if encode { ValueForm::Encode } else { ValueForm::Verbatim })
}

fn append_part(call: &mut Call<'_>) -> Result<Value, Fault> {
    if let Some(child) = call.arg(0).as_object().and_then(Object::downcast::<MimeObject>) {
        let child = child.builder.borrow().clone();
        call.charge(child.size_bytes())?;
        return change(call, |builder| builder.append(&child));
    }
    let content = part_content(call, 0)?;
    change(call, |builder| builder.append_raw(content))
}

/// A part given as argument `index`, a MIME, MIMEPart or MailMessage, with its header.
pub(super) fn part_content(call: &mut Call<'_>, index: usize) -> Result<Bytes, Fault> {
    let now = now(call.host());
    let object = call.arg(index).as_object();
    let content = if let Some(builder) = object.and_then(Object::downcast::<MimeObject>) {
        builder.builder.borrow().part_to_bytes().into()
    } else if let Some(part) = object.and_then(Object::downcast::<MailPart>) {
        let content = part.message().borrow().part_to_bytes(part.part(), now);
        content.map_err(|error| call.error(error))?
    } else {
        return Err(call.wrong(index, "a MIME or MIMEPart"));
    };
    call.charge(content.len())?;
    Ok(content)
}

fn set_body(call: &mut Call<'_>) -> Result<Value, Fault> {
    let body = call.str(0)?;
    call.charge(body.len())?;
    change(call, |builder| builder.set_body(shared(&body)))
}

fn set_type(call: &mut Call<'_>) -> Result<Value, Fault> {
    let kind = call.str(0)?;
    change(call, |builder| builder.set_type(kind.as_bytes()))
}

fn set_boundary(call: &mut Call<'_>) -> Result<Value, Fault> {
    let boundary = call.str(0)?;
    change(call, |builder| builder.set_boundary(boundary.as_bytes()))
}

fn set_date(call: &mut Call<'_>) -> Result<Value, Fault> {
    let now = match call.opt_number(0)? {
        Some(time) => {
            let unix_s = time as i64;
            let timestamp = jiff::Timestamp::from_second(unix_s).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            let offset = call.host().timezone().to_offset(timestamp);
            mail::delta::Now { unix_s, offset_min: offset.seconds() / 60 }
        }
        None => now(call.host()),
    };
    change(call, |builder| builder.set_date(now.unix_s, now.offset_min))
}

fn set_file_name(call: &mut Call<'_>) -> Result<Value, Fault> {
    let name = call.str(0)?;
    change(call, |builder| {
        builder.set_file_name(&mail::header::to_utf8(name.as_bytes(), None));
        Ok(())
    })
}

fn set_disposition(call: &mut Call<'_>) -> Result<Value, Fault> {
    let disposition = call.str(0)?;
    change(call, |builder| {
        builder.set_disposition(disposition.as_bytes());
        Ok(())
    })
}

fn source(call: &mut Call<'_>) -> Result<Vec<u8>, Fault> {
    let object: &MimeObject = call.this()?;
    call.charge(object.size_bytes() * 2)?;
    Ok(object.builder.borrow().to_bytes())
}

fn to_string(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(source(call)?.into())
}

fn to_file(call: &mut Call<'_>) -> Result<Step, Fault> {
    let object: &MimeObject = call.this()?;
    if object.size_bytes() <= BUILT_BYTES {
        return Ok(Step::Return(crate::file::memory_file(source(call)?.into())));
    }
    call.charge(object.size_bytes())?;
    Ok(ask(TO_FILE, call))
}

/// `toFile` of a large message.
const TO_FILE: u16 = numbers::MAIL + 2;

pub(super) const TO_FILE_FUNCTION: HostFunction = HostFunction {
    number: TO_FILE,
    run: |_, call| {
        Box::pin(async move {
            let object = call.this_object()?;
            let object = object.downcast::<MimeObject>().ok_or_else(|| call.error("is a method of MIME"))?;
            Ok(crate::file::memory_file(object.source(call.name).await?))
        })
    },
};
