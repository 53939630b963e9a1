//! YAML: hsl-stdlib 8.3.

mod decode;
mod scalar;
#[cfg(test)]
mod tests;

use self::decode::{Decoder, Progress};
use crate::fault::Fault;
use crate::host::Host;
use crate::limits::OFFLOAD_ABOVE_BYTES;
use crate::native::{Call, Native, NativeFrame, NativeRun, Next, Step};
use crate::value::Value;

/// The natives of this folder.
pub static NATIVES: &[Native] = &[Native::offloading(
    "yaml_decode",
    "string text [, array options]",
    (1, Some(2)),
    "The value of the first document of a YAML text, by the core schema of YAML 1.2; none if it is malformed. Keys of \
     mappings are texts. Option: `tags`, functions by tag (\"!Name\") that get the value of a node and return what takes \
     its place.",
    (OFFLOAD_ABOVE_BYTES, "a text without tags"),
    yaml_decode,
)];

/// Events between two pauses: 120 µs on one core of a busy machine.
const STEPS: usize = 200;

/// What runs on another thread: a text without functions for its tags.
static LONG: Native = Native {
    name: "yaml_decode",
    params: "string text",
    doc: "",
    min_args: 1,
    max_args: Some(2),
    run: NativeRun::Sized {
        above_bytes: OFFLOAD_ABOVE_BYTES,
        run: |call| Ok(decode(call.bytes(0)?).unwrap_or_default()),
    },
};

fn yaml_decode(call: &mut Call<'_>) -> Result<Step, Fault> {
    let tags = call.options(1)?.array("tags")?;
    if tags.is_none() && call.bytes(0)?.len() > OFFLOAD_ABOVE_BYTES {
        return Step::offload(&LONG, call);
    }
    let Ok(text) = std::str::from_utf8(call.bytes(0)?) else { return Ok(Step::Return(Value::None)) };
    let mut frame = Frame(Decoder::new(text, tags));
    Ok(frame.go_on().first(frame))
}

/// The value of a text without functions for tags; an error says what is wrong with it.
pub fn decode(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|_| "the text is not UTF-8".to_owned())?;
    let mut decoder = Decoder::new(text, None);
    loop {
        match decoder.run(usize::MAX).map_err(|error| error.0)? {
            Progress::Done(value) => return Ok(value),
            Progress::Call(..) | Progress::Paused => {}
        }
    }
}

struct Frame(Decoder);

impl Frame {
    fn go_on(&mut self) -> Next {
        match self.0.run(STEPS) {
            Ok(Progress::Done(value)) => Next::Return(value),
            Ok(Progress::Call(function, value)) => Next::Call { function, args: vec![value] },
            Ok(Progress::Paused) => Next::Pause,
            Err(_) => Next::Return(Value::None),
        }
    }
}

impl NativeFrame for Frame {
    fn resume(&mut self, result: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        if self.0.answer(result).is_err() {
            return Ok(Next::Return(Value::None));
        }
        Ok(self.go_on())
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.0.for_each_value(visit);
    }
}
