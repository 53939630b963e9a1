//! The class `MailMessage`: the root part, with what concerns the message as a whole.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use mail::delta::Now;
use mail::message::Message;
use mail::mime::PartId;
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun};
use script::value::{Array, Frozen, FrozenObject, Object, Value};

use super::builder::{QUEUE, SEND};
use super::outbox::Outbox;
use super::part::{PART, edited};
use super::weigh::{self, HEADER_BYTES, LOOK_BYTES};
use super::{Resting, Taken, now, shared, this};
use crate::arguments::Arguments;
use crate::{Execution, HostFunction, HostFuture, file, numbers};

/// Largest message that is worked on at once, rather than on another thread.
pub(super) const INLINE_BYTES: usize = 48 * 1024;

/// The class.
pub static MESSAGE: NativeClass = NativeClass {
    name: "MailMessage",
    doc: "A message. Changes are recorded beside the original, which getters keep telling.",
    extends: Some(&PART),
    constructor: None,
    methods: METHODS,
    statics: STATICS,
};

static STATICS: &[Native] = &[
    Native::inline(
        "String",
        "string data",
        (1, Some(1)),
        "A message from its source; none when it is too large.",
        from_string,
    ),
    Native {
        name: "File",
        params: "File file",
        doc: "A message from a file; none when it cannot be read.",
        min_args: 1,
        max_args: Some(1),
        run: NativeRun::Host(FROM_FILE),
    },
];

static METHODS: &[Native] = &[
    Native::weighed(
        "reset",
        "",
        (0, Some(0)),
        "Drops all changes and returns how many there were.",
        (HEADER_BYTES, "the changes"),
        weigh::changes,
        reset,
    ),
    Native::inline("snapshot", "", (0, Some(0)), "A number for the present list of changes.", snapshot),
    Native::weighed(
        "restore",
        "number id",
        (1, Some(1)),
        "Drops the changes made since the snapshot; false when there is none of this number.",
        (HEADER_BYTES, "the changes and the header fields"),
        weigh::replayed,
        restore,
    ),
    Native::weighed(
        "modifyContent",
        "number start, number count, string data",
        (3, Some(3)),
        "Replaces bytes of the original. Where changes overlap the later one wins.",
        (LOOK_BYTES, "a message whose parts are looked for"),
        weigh::structure,
        modify_content,
    ),
    super::dkim::SIGN_MESSAGE,
    super::dkim::VERIFY,
    Native::weighed(
        "toString",
        "",
        (0, Some(0)),
        "The source with all changes.",
        (INLINE_BYTES, "the message"),
        weigh::whole,
        to_string,
    ),
    Native::inline("toFile", "", (0, Some(0)), "The source with all changes, as a File.", to_file),
    QUEUE,
    SEND,
];

/// Numbers of host functions.
const FROM_FILE: u16 = numbers::MAIL;

pub(super) const FROM_FILE_FUNCTION: HostFunction = HostFunction { number: FROM_FILE, run: from_file };

/// A part of a message; the root is of class `MailMessage`. All parts share the message and its changes.
pub struct MailPart {
    message: Rc<RefCell<Message>>,
    part: PartId,
    /// Of the message that a transaction has brought, its root only.
    received: Option<Received>,
}

/// What the message of a transaction has beside others.
struct Received {
    /// Where it goes.
    outbox: Rc<Outbox>,
    /// Where it is while the script waits.
    resting: Rc<Resting>,
}

impl MailPart {
    /// The root of a message.
    pub fn root(message: Message) -> Object {
        Object::host(MailPart { message: Rc::new(RefCell::new(message)), part: PartId::ROOT, received: None })
    }

    /// The root of the message that a transaction has brought, of class `EODMailMessage`: what the script queues is in the
    /// outbox.
    pub fn received(resting: &Rc<Resting>, outbox: &Rc<Outbox>) -> Object {
        let received = Received { outbox: Rc::clone(outbox), resting: Rc::clone(resting) };
        let message = Rc::clone(resting.message());
        Object::host(MailPart { message, part: PartId::ROOT, received: Some(received) })
    }

    /// Another part of the same message.
    pub(super) fn sibling(&self, part: PartId) -> Object {
        Object::host(MailPart { message: self.message.clone(), part, received: None })
    }

    /// The message that it is part of.
    pub fn message(&self) -> &RefCell<Message> {
        &self.message
    }

    pub(super) fn outbox(&self) -> Option<&Rc<Outbox>> {
        self.received.as_ref().map(|received| &received.outbox)
    }

    /// The whole message with its changes up to now.
    pub(crate) fn take(&self, now: Now) -> Rc<Taken> {
        Taken::of(&self.message, self.received.as_ref().map(|received| &received.resting), now)
    }

    /// Which part it is.
    pub fn part(&self) -> PartId {
        self.part
    }
}

impl HostObject for MailPart {
    fn class(&self) -> &'static NativeClass {
        match (&self.received, self.part == PartId::ROOT) {
            (Some(_), _) => &super::outbox::RECEIVED,
            (None, true) => &MESSAGE,
            (None, false) => &PART,
        }
    }

    fn freeze(&self) -> Option<Frozen> {
        let frozen = FrozenPart { message: self.message.borrow().clone(), part: self.part };
        Some(Frozen::Object(Arc::new(frozen)))
    }

    fn adopt(&self, changed: &Object) -> bool {
        let Some(changed) = changed.downcast::<MailPart>() else { return false };
        let mut copy = changed.message.borrow_mut();
        self.message.borrow_mut().swap_changes(&mut copy) && copy.changes_weight() > HEADER_BYTES
    }

    /// Its share of the message.
    fn size_bytes(&self) -> usize {
        size_of::<MailPart>() + self.message.borrow().size_bytes() / Rc::strong_count(&self.message)
    }
}

/// A message that threads share; each script that takes it gets a copy of the changes.
struct FrozenPart {
    message: Message,
    part: PartId,
}

impl FrozenObject for FrozenPart {
    fn thaw(self: Arc<Self>) -> Object {
        let message = Rc::new(RefCell::new(self.message.clone()));
        Object::host(MailPart { message, part: self.part, received: None })
    }

    fn size_bytes(&self) -> usize {
        self.message.size_bytes()
    }
}

/// The loader of `.eml` files.
pub(super) fn load_eml(bytes: &[u8], _options: &Array) -> Result<Frozen, Fault> {
    let message = Message::parse(bytes.to_vec()).map_err(|error| Fault::error(error.to_string()))?;
    Ok(Frozen::Object(Arc::new(FrozenPart { message, part: PartId::ROOT })))
}

/// A message from its source, or none.
pub(super) fn parsed(source: bytes::Bytes) -> Value {
    Message::parse_later(source).ok().map(MailPart::root).into()
}

fn from_string(call: &mut Call<'_>) -> Result<Value, Fault> {
    let source = call.str(0)?;
    call.charge(source.len())?;
    Ok(parsed(shared(&source)))
}

/// Reads the file, which may be on disk, on the pool.
fn from_file(_execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let Some(file) = call.arg(0).as_object().filter(|object| object.class_name() == "File") else {
            return Err(Arguments::wrong(&call, 0, "a File"));
        };
        let content = file::read_all(call.name, file).await?;
        Ok(content.map_or(Value::None, parsed))
    })
}

fn reset(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.this::<MailPart>()?.message.borrow_mut().reset().into())
}

fn snapshot(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.this::<MailPart>()?.message.borrow_mut().snapshot().into())
}

fn restore(call: &mut Call<'_>) -> Result<Value, Fault> {
    let id = u32::try_from(call.integer(0)?);
    let mut message = call.this::<MailPart>()?.message.borrow_mut();
    Ok(id.is_ok_and(|id| message.restore(id)).into())
}

fn modify_content(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (start, count) = (call.integer(0)?, call.integer(1)?);
    let data = shared(&call.str(2)?);
    call.charge(data.len())?;
    // What is negative is beyond every message.
    let range = (u64::try_from(start).unwrap_or(u64::MAX), u64::try_from(count).unwrap_or(u64::MAX));
    edited(call, |message, _| message.modify_content(range.0, range.1, data))?;
    this(call)
}

fn source(call: &mut Call<'_>) -> Result<bytes::Bytes, Fault> {
    let now = now(call.host());
    let part: &MailPart = call.this()?;
    let message = part.message.borrow();
    call.charge(message.original().len() + message.edit_bytes())?;
    Ok(message.to_bytes(now))
}

fn to_string(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(source(call)?.as_ref().into())
}

fn to_file(call: &mut Call<'_>) -> Result<Value, Fault> {
    let now = now(call.host());
    let taken = call.this::<MailPart>()?.take(now);
    call.charge(taken.changes())?;
    Ok(file::message_file(taken))
}
