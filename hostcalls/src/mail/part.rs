//! The class `MIMEPart`: one part of a message.

use mail::header::Field;
use mail::message::{EditError, Message, PartView, Place};
use mail::mime::PartId;
use script::fault::Fault;
use script::native::{Call, Native, NativeClass};
use script::value::Value;

use super::body::{GET_BODY, SET_BODY};
use super::builder::{PART_BYTES, part_content, value_form};
use super::message::{INLINE_BYTES, MailPart};
use super::search::{FIND_BY_FILE_NAME, FIND_BY_TYPE, GET_BY_ID, GET_PARTS};
use super::weigh::{self, HEADER_BYTES, LOOK_BYTES};
use super::{boundary, list, shared, this};

/// The class.
pub(super) static PART: NativeClass = NativeClass {
    name: "MIMEPart",
    doc: "A part of a message. Getters tell what came in; changes show when the message is written.",
    extends: None,
    constructor: None,
    methods: METHODS,
    statics: &[],
};

static METHODS: &[Native] = &[
    Native::weighed(
        "getID",
        "",
        (0, Some(0)),
        "The id of the part: 0 for the root, 0.1 for its second child.",
        LOOKING,
        weigh::structure,
        get_id,
    ),
    Native::weighed(
        "getSize",
        "",
        (0, Some(0)),
        "Header and body in bytes.",
        LOOKING,
        weigh::structure,
        get_size,
    ),
    Native::weighed(
        "getFileName",
        "",
        (0, Some(0)),
        "The decoded file name, or none.",
        HEADER,
        weigh::header,
        get_file_name,
    ),
    Native::weighed(
        "getType",
        "",
        (0, Some(0)),
        "The media type in lower case; none without Content-Type.",
        HEADER,
        weigh::header,
        get_type,
    ),
    Native::weighed(
        "getTypeParameter",
        "string name",
        (1, Some(1)),
        "A parameter of Content-Type, decoded, or none.",
        HEADER,
        weigh::header,
        get_type_parameter,
    ),
    Native::weighed(
        "getHeader",
        "string name [, array options]",
        (1, Some(2)),
        "The value of a header, decoded to UTF-8, or none. Options: index (0; from the top), field (false; the raw \
         header with its name and line end), decode (true; false gives the raw value).",
        HEADER,
        weigh::header,
        get_header,
    ),
    Native::weighed(
        "getHeaders",
        "string name [, array options]",
        (1, Some(2)),
        "The values of all headers of this name, top first. Options: field, decode.",
        HEADER,
        weigh::header,
        get_headers,
    ),
    Native::weighed(
        "getHeaderNames",
        "",
        (0, Some(0)),
        "The names of all headers in lower case, top first.",
        HEADER,
        weigh::header,
        get_header_names,
    ),
    Native::weighed(
        "setHeader",
        "string name, string value [, array options]",
        (2, Some(3)),
        "Overwrites all headers of this name, or the one at index, and makes one if there is none; returns how many. \
         Options: index, encode (true).",
        CHANGED_HEADER,
        weigh::changed_header,
        set_header,
    ),
    Native::weighed(
        "addHeader",
        "string name, string value [, array options]",
        (2, Some(3)),
        "Adds a header on top. Option: encode (true).",
        (HEADER_BYTES, "the arguments"),
        weigh::field,
        add_header,
    ),
    Native::weighed(
        "delHeader",
        "string name [, array options]",
        (1, Some(2)),
        "Removes all headers of this name, or the one at the option index; returns how many.",
        CHANGED_HEADER,
        weigh::changed_header,
        del_header,
    ),
    Native::weighed(
        "renameHeader",
        "string name, string newname",
        (2, Some(2)),
        "Gives all headers of this name another one; returns how many.",
        CHANGED_HEADER,
        weigh::changed_header,
        rename_header,
    ),
    Native::weighed(
        "setDateLater",
        "",
        (0, Some(0)),
        "Has the Date header written when the message goes out.",
        LOOKING,
        weigh::structure,
        set_date_later,
    ),
    Native::weighed("remove", "", (0, Some(0)), "Drops the part.", LOOKING, weigh::structure, remove),
    GET_BODY,
    SET_BODY,
    Native::weighed(
        "getPreamble",
        "",
        (0, Some(0)),
        "What stands before the parts of a multipart.",
        LOOKING,
        weigh::structure,
        get_preamble,
    ),
    Native::weighed(
        "setPreamble",
        "string text",
        (1, Some(1)),
        "Replaces it; none for others.",
        TEXT,
        weigh::lines,
        set_preamble,
    ),
    Native::weighed(
        "getEpilogue",
        "",
        (0, Some(0)),
        "What stands behind the parts of a multipart.",
        LOOKING,
        weigh::structure,
        get_epilogue,
    ),
    Native::weighed(
        "setEpilogue",
        "string text",
        (1, Some(1)),
        "Replaces it; none for others.",
        TEXT,
        weigh::lines,
        set_epilogue,
    ),
    Native::weighed(
        "prependPart",
        "MIME part [, array options]",
        (1, Some(2)),
        INSERT,
        INSERTED,
        weigh::inserted,
        prepend_part,
    ),
    Native::weighed(
        "appendPart",
        "MIME part [, array options]",
        (1, Some(2)),
        INSERT,
        INSERTED,
        weigh::inserted,
        append_part,
    ),
    Native::weighed(
        "replacePart",
        "MIME part",
        (1, Some(1)),
        "Puts a MIME or MIMEPart in its place.",
        (PART_BYTES, "the new part"),
        weigh::replacing,
        replace_part,
    ),
    FIND_BY_TYPE,
    FIND_BY_FILE_NAME,
    GET_BY_ID,
    GET_PARTS,
    Native::weighed(
        "getErrors",
        "",
        (0, Some(0)),
        "bad_header, unclosed_boundary, limit.",
        LOOKING,
        weigh::structure,
        get_errors,
    ),
];

const INSERT: &str = "Adds a MIME or MIMEPart before or behind the parts that are there. What is no multipart, or \
                      not one of the option type, is wrapped in a new one of that type (multipart/mixed).";

/// What is weighed of calls that only ask where the parts are.
const LOOKING: (usize, &str) = (LOOK_BYTES, "a message whose parts are looked for");
const HEADER: (usize, &str) = (HEADER_BYTES, "the header");
const CHANGED_HEADER: (usize, &str) = (HEADER_BYTES, "the header, its changes and the arguments");
const TEXT: (usize, &str) = (INLINE_BYTES, "the text");
const INSERTED: (usize, &str) = (PART_BYTES, "the header and the new part");

/// Reads the part of this call.
pub(super) fn read<T>(call: &Call<'_>, read: impl FnOnce(PartView<'_>) -> T) -> Result<T, Fault> {
    let object: &MailPart = call.this()?;
    let message = object.message().borrow();
    let view = message.part(object.part()).ok_or_else(|| call.error(EditError::NoPart))?;
    Ok(read(view))
}

/// Changes the message of this call.
pub(super) fn edited<T>(
    call: &Call<'_>,
    edit: impl FnOnce(&mut Message, PartId) -> Result<T, EditError>,
) -> Result<T, Fault> {
    let object: &MailPart = call.this()?;
    edit(&mut object.message().borrow_mut(), object.part()).map_err(|error| call.error(error))
}

fn get_id(call: &mut Call<'_>) -> Result<Value, Fault> {
    read(call, |part| part.dotted_id().into())
}

fn get_size(call: &mut Call<'_>) -> Result<Value, Fault> {
    read(call, |part| part.size_bytes().into())
}

fn get_file_name(call: &mut Call<'_>) -> Result<Value, Fault> {
    read(call, |part| part.file_name().into())
}

fn get_type(call: &mut Call<'_>) -> Result<Value, Fault> {
    read(call, |part| part.media_type().into())
}

fn get_type_parameter(call: &mut Call<'_>) -> Result<Value, Fault> {
    let name = call.str(0)?.to_string_lossy().to_ascii_lowercase();
    read(call, |part| part.type_parameter(&name).into())
}

/// How a header is shown.
struct HeaderForm {
    field: bool,
    decode: bool,
}

impl HeaderForm {
    fn of(call: &Call<'_>) -> Result<HeaderForm, Fault> {
        let options = call.options(1)?;
        Ok(HeaderForm { field: options.boolean("field", false)?, decode: options.boolean("decode", true)? })
    }

    fn show(&self, part: PartView<'_>, field: &Field) -> Value {
        match (self.field, self.decode) {
            (true, _) => part.raw_field(field).into(),
            (false, true) => part.text(field).into(),
            (false, false) => part.raw_value(field).into(),
        }
    }
}

/// The option `index` of the argument `argument`; what is negative stands for no field.
fn index(call: &Call<'_>, argument: usize) -> Result<Option<usize>, Fault> {
    let index = call.options(argument)?.number("index")?;
    Ok(index.map(|index| if index >= 0.0 { index as usize } else { usize::MAX }))
}

fn get_header(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (name, form, index) = (call.str(0)?, HeaderForm::of(call)?, index(call, 1)?.unwrap_or(0));
    read(call, |part| {
        let field = part.fields_named(name.as_bytes()).nth(index);
        field.map(|field| form.show(part, field)).into()
    })
}

fn get_headers(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (name, form) = (call.str(0)?, HeaderForm::of(call)?);
    read(call, |part| {
        let fields = part.fields_named(name.as_bytes());
        match form {
            HeaderForm { field: false, decode: true } => list(part.texts(fields)),
            form => list(fields.map(|field| form.show(part, field))),
        }
    })
}

fn get_header_names(call: &mut Call<'_>) -> Result<Value, Fault> {
    read(call, |part| list(part.header_names()))
}

fn set_header(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (name, value) = (call.str(0)?, call.str(1)?);
    let (form, index) = (value_form(call, 2)?, index(call, 2)?);
    call.charge(value.len())?;
    edited(call, |message, part| message.set_header(part, name.as_bytes(), value.as_bytes(), index, form))
        .map(Value::from)
}

fn add_header(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (name, value, form) = (call.str(0)?, call.str(1)?, value_form(call, 2)?);
    call.charge(value.len())?;
    edited(call, |message, part| message.add_header(part, name.as_bytes(), value.as_bytes(), form))?;
    Ok(Value::None)
}

fn del_header(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (name, index) = (call.str(0)?, index(call, 1)?);
    edited(call, |message, part| message.del_header(part, name.as_bytes(), index)).map(Value::from)
}

fn rename_header(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (name, new_name) = (call.str(0)?, call.str(1)?);
    edited(call, |message, part| message.rename_header(part, name.as_bytes(), new_name.as_bytes()))
        .map(Value::from)
}

fn set_date_later(call: &mut Call<'_>) -> Result<Value, Fault> {
    edited(call, |message, part| message.set_date_later(part)).map(Value::from)
}

fn remove(call: &mut Call<'_>) -> Result<Value, Fault> {
    edited(call, |message, part| message.remove_part(part))?;
    Ok(Value::None)
}

fn get_preamble(call: &mut Call<'_>) -> Result<Value, Fault> {
    read(call, |part| part.preamble().into())
}

fn get_epilogue(call: &mut Call<'_>) -> Result<Value, Fault> {
    read(call, |part| part.epilogue().into())
}

fn set_preamble(call: &mut Call<'_>) -> Result<Value, Fault> {
    let text = shared(&call.str(0)?);
    let done = edited(call, |message, part| message.set_preamble(part, text))?;
    if done { this(call) } else { Ok(Value::None) }
}

fn set_epilogue(call: &mut Call<'_>) -> Result<Value, Fault> {
    let text = shared(&call.str(0)?);
    let done = edited(call, |message, part| message.set_epilogue(part, text))?;
    if done { this(call) } else { Ok(Value::None) }
}

fn prepend_part(call: &mut Call<'_>) -> Result<Value, Fault> {
    insert(call, Place::First)
}

fn append_part(call: &mut Call<'_>) -> Result<Value, Fault> {
    insert(call, Place::Last)
}

fn insert(call: &mut Call<'_>, place: Place) -> Result<Value, Fault> {
    let content = part_content(call, 0)?;
    let kind = call.options(1)?.str("type")?;
    let kind = kind.map(|kind| kind.to_string_lossy().into_owned());
    let boundary = boundary(call.host());
    edited(call, |message, part| message.insert_part(part, place, content, kind.as_deref(), &boundary))?;
    this(call)
}

fn replace_part(call: &mut Call<'_>) -> Result<Value, Fault> {
    let content = part_content(call, 0)?;
    edited(call, |message, part| message.replace_part(part, content))?;
    Ok(Value::None)
}

fn get_errors(call: &mut Call<'_>) -> Result<Value, Fault> {
    read(call, |part| list(part.defects()))
}
