//! What a script decided: the name of the deciding function and its arguments, with typed access.

use hostcalls::address;
use hostcalls::hooks::Hook;
use net::smtp::address::Address;
use net::smtp::reply::{EnhancedCode, Reply};
use script::fault::Terminator;
use script::lint;
use script::value::{Array, Value};

use crate::codes::Codes;
use crate::limits;

/// Why there is no decision: a sentence for the log.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// The call that ended a script, or the one that is implied where a script just ends.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) name: &'static str,
    hook: &'static str,
    explicit: bool,
    arguments: Vec<Value>,
}

/// The array of options at the end of a call. What is absent or none is as documented for the option; keys that nobody
/// knows are ignored.
pub(crate) struct Options {
    array: Option<Array>,
    /// Hook and function; `None`: an array within others.
    of: Option<(&'static str, &'static str)>,
}

impl Decision {
    pub(crate) fn implied(hook: &Hook) -> Decision {
        Decision { name: hook.implied, hook: hook.name, explicit: false, arguments: Vec::new() }
    }

    /// The decision of a script. A library that it imports may call the functions of any hook.
    pub(crate) fn made(hook: &'static Hook, call: Terminator) -> Result<Decision, Failure> {
        let Terminator { name, arguments } = call;
        if !hook.decisions.iter().any(|native| native.name == name) {
            let hook = hook.name;
            return Err(Failure(format!("the script of {hook} ended with no decision of this hook")));
        }
        Ok(Decision { name, hook: hook.name, explicit: true, arguments })
    }

    /// Whether the script called the function, rather than just ended.
    pub(crate) fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// The argument at this place as options.
    pub(crate) fn options(&self, index: usize) -> Result<Options, Failure> {
        let of = Some((self.hook, self.name));
        match self.arguments.get(index) {
            None | Some(Value::None) => Ok(Options { array: None, of }),
            Some(Value::Array(array)) => Ok(Options { array: Some(array.clone()), of }),
            Some(other) => Err(self.error(format_args!("options are an array, not a {}", other.type_name()))),
        }
    }

    /// The first argument as the text of a reply: a string, or a list of strings, which are its lines.
    pub(crate) fn reason(&self) -> Result<Option<String>, Failure> {
        self.arguments.first().map_or(Ok(None), |value| text_of_reply(value, "the reason"))
    }

    /// The first argument as it is: what goes to the client in base64.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Failure> {
        match self.arguments.first() {
            None | Some(Value::None) => Ok(Vec::new()),
            Some(Value::Str(text)) => Ok(text.as_bytes().to_vec()),
            Some(other) => {
                Err(self.error(format_args!("the reply is a string, not a {}", other.type_name())))
            }
        }
    }

    fn error(&self, what: std::fmt::Arguments<'_>) -> Failure {
        Failure(format!("{}(): {what}", self.name))
    }
}

impl Options {
    /// Of a value within other options.
    pub(crate) fn of(array: Array) -> Options {
        Options { array: Some(array), of: None }
    }

    fn get(&self, key: &str) -> Option<Value> {
        if let (true, Some((hook, name))) = (cfg!(debug_assertions), self.of) {
            let is_known = lint::is_known(&format!("{hook}:{name}"), key);
            assert!(is_known, "script/src/lint/options.txt: {hook}:{name} has no {key}");
        }
        self.array.as_ref()?.get_str(key).filter(|value| !value.is_none())
    }

    pub(crate) fn string(&self, key: &str) -> Result<Option<String>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text.to_string_lossy().into_owned())),
            Some(other) => Err(wrong(key, "a string", &other)),
        }
    }

    /// A string as the bytes that it has.
    pub(crate) fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text.as_bytes().to_vec())),
            Some(other) => Err(wrong(key, "a string", &other)),
        }
    }

    pub(crate) fn boolean(&self, key: &str) -> Result<bool, Failure> {
        self.optional_boolean(key).map(|flag| flag.unwrap_or(false))
    }

    pub(crate) fn optional_boolean(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(key, "a boolean", &other)),
        }
    }

    /// A number from `least` to `most`; a string of digits counts as one.
    pub(crate) fn number(&self, key: &str, least: f64, most: f64) -> Result<Option<f64>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => Some(*number),
            Value::Str(text) => std::str::from_utf8(text.as_bytes()).ok().and_then(|text| text.parse().ok()),
            _ => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            Some(number) => {
                Err(Failure(format!("option \"{key}\": {number} is not between {least} and {most}")))
            }
            None => Err(wrong(key, "a number", &value)),
        }
    }

    /// An array, as options of its own.
    pub(crate) fn nested(&self, key: &str) -> Result<Option<Options>, Failure> {
        Ok(self.array(key)?.map(Options::of))
    }

    pub(crate) fn array(&self, key: &str) -> Result<Option<Array>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(array)),
            Some(other) => Err(wrong(key, "an array", &other)),
        }
    }

    /// The value as it is.
    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.get(key)
    }

    /// A list of strings.
    pub(crate) fn strings(&self, key: &str, most: usize) -> Result<Option<Vec<String>>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Some(list) = value.as_array() else { return Err(wrong(key, "an array of strings", &value)) };
        if list.len() > most {
            return Err(Failure(format!(
                "option \"{key}\": {} items, of which {most} are allowed",
                list.len()
            )));
        }
        let strings = list.values().map(|item| match item {
            Value::Str(text) => Ok(text.to_string_lossy().into_owned()),
            other => Err(wrong(key, "an array of strings", &other)),
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    /// An address: a string, or an array with `localpart` and `domain`. `Some(None)` is the null sender.
    pub(crate) fn address(&self, key: &str) -> Result<Option<Option<Address>>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        address::of_value(&value).map(Some).map_err(|why| Failure(format!("option \"{key}\": {why}")))
    }

    /// The text of a reply, in the option `reason`.
    pub(crate) fn reason(&self) -> Result<Option<String>, Failure> {
        self.get("reason").map_or(Ok(None), |value| text_of_reply(&value, "option \"reason\""))
    }

    /// `reply_codes` over the default ones. The class must be one of `classes`.
    pub(crate) fn codes(&self, default: Codes, classes: &[u16]) -> Result<Codes, Failure> {
        let Some(value) = self.get("reply_codes") else { return Ok(default) };
        let Some(given) = value.as_array() else { return Err(wrong("reply_codes", "an array", &value)) };
        let mut codes = default;
        if let Some(code) = given.get_str("code").filter(|code| !code.is_none()) {
            codes.code = number(&code)
                .filter(|code| classes.contains(&(code / 100)))
                .ok_or_else(|| bad_code(&code, classes))?;
        }
        if let Some(enhanced) = given.get_str("enhanced").filter(|enhanced| !enhanced.is_none()) {
            codes.enhanced = Some(enhanced_code(&enhanced, codes.code)?);
        } else if codes.enhanced.is_some_and(|enhanced| u16::from(enhanced.class) != codes.code / 100) {
            codes.enhanced = None;
        }
        Ok(codes)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.array.as_ref().is_none_or(Array::is_empty)
    }

    /// Whether the option is there at all.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

impl Codes {
    /// A reply with these codes.
    pub(crate) fn reply(self, text: &str) -> Reply {
        Reply::new(self.code, self.enhanced, text)
    }
}

pub(crate) fn wrong(key: &str, expected: &str, got: &Value) -> Failure {
    Failure(format!("option \"{key}\": expected {expected}, not a {}", got.type_name()))
}

fn bad_code(code: &Value, classes: &[u16]) -> Failure {
    let allowed: Vec<String> = classes.iter().map(|class| format!("{class}xx")).collect();
    let given = match number(code) {
        Some(code) => code.to_string(),
        None => format!("a {}", code.type_name()),
    };
    Failure(format!("option \"reply_codes\": the code is {given}, and must be {}", allowed.join(" or ")))
}

/// A part of a code, which may be a string of digits.
fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Number(number) if number.fract() == 0.0 && (0.0..1000.0).contains(number) => {
            Some(*number as u16)
        }
        Value::Str(text) => {
            std::str::from_utf8(text.as_bytes()).ok()?.trim().parse().ok().filter(|n| *n < 1000)
        }
        _ => None,
    }
}

fn enhanced_code(value: &Value, code: u16) -> Result<EnhancedCode, Failure> {
    let parts: Option<Vec<u16>> =
        value.as_array().and_then(|array| array.values().map(|part| number(&part)).collect());
    match parts.as_deref() {
        Some(&[class, subject, detail]) if class == code / 100 => {
            Ok(EnhancedCode { class: class as u8, subject, detail })
        }
        Some(&[class, ..]) if class != code / 100 => Err(Failure(format!(
            "option \"reply_codes\": an enhanced code of class {class} does not go with the code {code}"
        ))),
        _ => Err(Failure(
            "option \"reply_codes\": enhanced is a list of three numbers from 0 to 999".to_owned(),
        )),
    }
}

/// Lines joined by line feeds.
fn text_of_reply(value: &Value, what: &str) -> Result<Option<String>, Failure> {
    let text = match value {
        Value::None => return Ok(None),
        Value::Str(text) => text.to_string_lossy().into_owned(),
        Value::Array(lines) => {
            let lines = lines.values().map(|line| match line {
                Value::Str(text) => Ok(text.to_string_lossy().into_owned()),
                other => Err(Failure(format!("{what} is a list with a {} in it", other.type_name()))),
            });
            lines.collect::<Result<Vec<_>, _>>()?.join("\n")
        }
        other => {
            return Err(Failure(format!(
                "{what} is a string or a list of strings, not a {}",
                other.type_name()
            )));
        }
    };
    let mut lines = text.split('\n');
    if lines.by_ref().nth(limits::MAX_REPLY_LINES).is_none() {
        return Ok(Some(text));
    }
    Ok(Some(text.split('\n').take(limits::MAX_REPLY_LINES).collect::<Vec<_>>().join("\n")))
}
