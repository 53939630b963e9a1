//! The methods of `MIMEPart` that give other parts.

use mail::message::PartView;
use mail::mime::PartId;
use script::fault::Fault;
use script::host::Host;
use script::limits::SLICE_ITEMS;
use script::native::{Call, Native, NativeFrame, NativeRun, Next, Step};
use script::std::regex::Pattern;
use script::value::{Object, Str, Value};

use super::message::MailPart;
use super::weigh::{HEADER_BYTES, LOOK_BYTES};
use super::{list, this};

pub(super) const FIND_BY_TYPE: Native = Native::offloading(
    "findByType",
    "Regex type",
    (1, Some(1)),
    FIND,
    (HEADER_BYTES, "the headers"),
    |call| find(call, Subject::Type),
);

pub(super) const FIND_BY_FILE_NAME: Native = Native::offloading(
    "findByFileName",
    "Regex name",
    (1, Some(1)),
    FIND,
    (HEADER_BYTES, "the headers"),
    |call| find(call, Subject::FileName),
);

pub(super) const GET_BY_ID: Native = Native::offloading(
    "getByID",
    "string id",
    (1, Some(1)),
    "The part of this id, itself or below it.",
    LOOKING,
    |call| {
        let id = call.str(0)?;
        parts(call, Work::ById(id))
    },
);

pub(super) const GET_PARTS: Native =
    Native::offloading("getParts", "", (0, Some(0)), "The direct children.", LOOKING, |call| {
        parts(call, Work::Children)
    });

const LOOKING: (usize, &str) = (LOOK_BYTES, "a message whose parts are looked for");
const FIND: &str = "The parts below it that match; a string is a pattern without regard to case.";
/// The longest id that a part can have: 64 numbers.
const ID_BYTES: usize = 512;

/// Has the parts of a message found, on another thread.
pub(super) static LOOK: Native = Native {
    name: "look",
    params: "MIMEPart part",
    doc: "",
    min_args: 1,
    max_args: Some(1),
    run: NativeRun::Sized {
        above_bytes: 0,
        run: |call| {
            call.object::<MailPart>(0, "MIMEPart")?.message().borrow().structure();
            Ok(Value::None)
        },
    },
};

/// Which of the parts below a part match, on another thread: a boolean for each.
static SEARCH: Native = Native {
    name: "find",
    params: "MIMEPart part, Regex pattern, boolean file_name",
    doc: "",
    min_args: 3,
    max_args: Some(3),
    run: NativeRun::Sized {
        above_bytes: 0,
        run: |call| {
            let pattern = call.pattern(1)?;
            let subject = if call.boolean(2)? { Subject::FileName } else { Subject::Type };
            let object = call.object::<MailPart>(0, "MIMEPart")?;
            let message = object.message().borrow();
            let view = message.part(object.part());
            let parts = view.iter().flat_map(PartView::descendants);
            let matches = parts.map(|part| match subject.of(part) {
                Some(text) => pattern.is_match(text.as_bytes()).map(Value::Bool),
                None => Ok(false.into()),
            });
            Ok(matches.collect::<Result<Vec<_>, Fault>>()?.into())
        },
    },
};

/// What is matched.
#[derive(Clone, Copy)]
enum Subject {
    Type,
    FileName,
}

impl Subject {
    fn of(self, part: PartView<'_>) -> Option<String> {
        match self {
            Subject::Type => part.media_type(),
            Subject::FileName => part.file_name(),
        }
    }
}

/// A Regex, or a string that is compiled without regard to case.
fn pattern(call: &mut Call<'_>) -> Result<Pattern, Fault> {
    match call.arg(0).as_str() {
        Some(text) => {
            let text = Str::from_vec([b"(?i)", text.as_bytes()].concat());
            call.host().patterns().get(&text)
        }
        None => call.pattern(0),
    }
}

fn find(call: &mut Call<'_>, subject: Subject) -> Result<Step, Fault> {
    let pattern = pattern(call)?;
    parts(call, Work::Find(pattern, subject))
}

fn parts(call: &mut Call<'_>, work: Work) -> Result<Step, Fault> {
    let mut frame = Frame { object: this(call)?, stage: Stage::Look(work), found: Vec::new() };
    if call.this::<MailPart>()?.message().borrow().look() {
        return Ok(frame.begin()?.first(frame));
    }
    let args = vec![frame.object.freeze()?];
    Ok(Step::Offload { native: &LOOK, args, then: Some(Box::new(frame)) })
}

/// What is asked for.
enum Work {
    Children,
    ById(Str),
    Find(Pattern, Subject),
}

enum Stage {
    /// The parts of the message are being found.
    Look(Work),
    /// It is being found out which of them match.
    Match,
    /// Their objects are made.
    List(std::vec::IntoIter<PartId>),
}

/// Waits for what is found on another thread.
struct Frame {
    object: Value,
    stage: Stage,
    /// The objects.
    found: Vec<Value>,
}

impl Frame {
    fn part(&self) -> Result<&MailPart, Fault> {
        let part = self.object.as_object().and_then(Object::downcast);
        part.ok_or_else(|| Fault::error("the part is none"))
    }

    /// Reads the part.
    fn read<T>(&self, read: impl FnOnce(PartView<'_>) -> T) -> Result<T, Fault> {
        let object = self.part()?;
        let message = object.message().borrow();
        let view = message.part(object.part()).ok_or_else(|| Fault::error("the message has no such part"))?;
        Ok(read(view))
    }

    /// The parts of the message are known.
    fn begin(&mut self) -> Result<Next, Fault> {
        let Stage::Look(work) = &self.stage else { unreachable!("it begins once") };
        match work {
            Work::Children => {
                let children = self.read(|part| part.children().map(|part| part.id()).collect())?;
                self.list(children)
            }
            Work::ById(id) if id.len() > ID_BYTES => Ok(Next::Return(Value::None)),
            Work::ById(id) => {
                let found = self.read(|part| part.find(&id.to_string_lossy()).map(|part| part.id()))?;
                let object = self.part()?;
                Ok(Next::Return(found.map(|part| object.sibling(part)).into()))
            }
            Work::Find(pattern, subject) => {
                if let Some(matches) = self.matches_inline(pattern, *subject)? {
                    return self.list(matches);
                }
                let is_file_name = matches!(subject, Subject::FileName);
                let args = vec![self.object.freeze()?, pattern.freeze(), Value::from(is_file_name).freeze()?];
                self.stage = Stage::Match;
                Ok(Next::Offload { native: &SEARCH, args })
            }
        }
    }

    /// The parts that match, where that takes little.
    fn matches_inline(&self, pattern: &Pattern, subject: Subject) -> Result<Option<Vec<PartId>>, Fault> {
        let object = self.part()?;
        if object.message().borrow().headers_weight(object.part(), HEADER_BYTES) > HEADER_BYTES {
            return Ok(None);
        }
        let (parts, texts): (Vec<PartId>, Vec<String>) = self.read(|part| {
            part.descendants().filter_map(|part| Some((part.id(), subject.of(part)?))).unzip()
        })?;
        let matched = pattern.matches_each_inline(&texts);
        Ok(matched.map(|matched| chosen(parts.into_iter(), matched.into_iter())))
    }

    fn list(&mut self, parts: Vec<PartId>) -> Result<Next, Fault> {
        self.found.reserve_exact(parts.len());
        self.stage = Stage::List(parts.into_iter());
        self.go_on()
    }

    fn go_on(&mut self) -> Result<Next, Fault> {
        let object = self.object.as_object().and_then(Object::downcast::<MailPart>);
        let Some((Stage::List(parts), object)) = Some(&mut self.stage).zip(object) else {
            unreachable!("the parts are known")
        };
        self.found.extend(parts.by_ref().take(SLICE_ITEMS).map(|part| Value::from(object.sibling(part))));
        Ok(if parts.len() > 0 { Next::Pause } else { Next::Return(list(std::mem::take(&mut self.found))) })
    }
}

/// The parts whose flag is set.
fn chosen(parts: impl Iterator<Item = PartId>, flags: impl Iterator<Item = bool>) -> Vec<PartId> {
    parts.zip(flags).filter(|(_, chosen)| *chosen).map(|(part, _)| part).collect()
}

impl NativeFrame for Frame {
    fn resume(&mut self, result: Value, _: &mut dyn Host) -> Result<Next, Fault> {
        match &self.stage {
            Stage::Look(_) => self.begin(),
            Stage::List(_) => self.go_on(),
            Stage::Match => {
                let flags = result.as_array().cloned().unwrap_or_default();
                let flags = flags.values().map(|flag| flag.truthy());
                let parts = self.read(|part| chosen(part.descendants().map(|part| part.id()), flags))?;
                self.list(parts)
            }
        }
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.object);
        self.found.iter().for_each(visit);
    }
}
