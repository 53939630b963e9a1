//! The class `Iconv`: hsl-stdlib 25. Conversions go through Unicode, by the tables of the web platform plus strict
//! US-ASCII, ISO-8859-1, UTF-16 and UTF-32.

use std::cell::Cell;
use std::sync::Arc;

use encoding_rs::{DecoderResult, EncoderResult, Encoding};

use crate::fault::Fault;
use crate::native::{Call, HostObject, Native, NativeClass};
use crate::ops;
use crate::value::{Frozen, FrozenObject, Object, Value};

/// Longest text that a shard converts: at worst each character is one that the target has not.
const INLINE_BYTES: usize = 8 << 10;

/// The object of an `Iconv`.
struct Iconv {
    from: Charset,
    to: Charset,
    options: Options,
    errno: Cell<u32>,
    closed: Cell<bool>,
}

/// What the suffixes of the target charset say.
#[derive(Clone, Copy, Default)]
struct Options {
    /// `//IGNORE`: leaves out what cannot be converted.
    ignore: bool,
    /// `//TRANSLIT`: writes `?`, or a similar character, for what the target has not.
    transliterate: bool,
}

#[derive(Clone, Copy)]
enum Charset {
    Ascii,
    Latin1,
    Utf16 { big: bool, mark: bool },
    Utf32 { big: bool, mark: bool },
    Table(&'static Encoding),
}

const EBADF: u32 = 9;
const EINVAL: u32 = 22;
const EILSEQ: u32 = 84;

pub(super) static CLASS: NativeClass = NativeClass {
    name: "Iconv",
    doc: "Converts text from one character set to another.",
    extends: None,
    constructor: Some(Native::inline(
        "Iconv",
        "string from, string to",
        (2, Some(2)),
        "`to` may end in `//TRANSLIT` (writes `?` for what the target has not) and `//IGNORE` (leaves it out). An unknown \
         character set is an error.",
        construct,
    )),
    methods: &[
        Native::weighed(
            "convert",
            "string",
            (1, Some(1)),
            "The converted text; none if it cannot be converted, which `errno()` explains.",
            (INLINE_BYTES, "the text"),
            |call| call.arg(0).as_bytes().map_or(0, <[u8]>::len),
            convert,
        ),
        Native::inline(
            "errno",
            "",
            (0, Some(0)),
            "Why the last conversion failed: 84 for bad input or what the target has not, 22 for input that ends within a \
             character, 9 after `close()`; else 0.",
            |call| Ok(call.this::<Iconv>()?.errno.get().into()),
        ),
        Native::inline("close", "", (0, Some(0)), "Ends the use of the object.", |call| {
            call.this::<Iconv>()?.closed.set(true);
            Ok(Value::None)
        }),
    ],
    statics: &[],
};

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (from, to) =
        (call.str(0)?.to_string_lossy().into_owned(), call.str(1)?.to_string_lossy().into_owned());
    let (from, _) = split_suffixes(&from);
    let (to, options) = split_suffixes(&to);
    let find = |name: &str| {
        Charset::find(name).ok_or_else(|| call.error(format!("unknown character set \"{name}\"")))
    };
    let (from, to) = (find(from)?, find(to)?);
    Ok(Object::host(Iconv { from, to, options, errno: Cell::new(0), closed: Cell::new(false) }).into())
}

fn split_suffixes(name: &str) -> (&str, Options) {
    let mut parts = name.split("//");
    let charset = parts.next().unwrap_or_default();
    let mut options = Options::default();
    for suffix in parts {
        options.ignore |= suffix.eq_ignore_ascii_case("IGNORE");
        options.transliterate |= suffix.eq_ignore_ascii_case("TRANSLIT");
    }
    (charset, options)
}

fn convert(call: &mut Call<'_>) -> Result<Value, Fault> {
    let iconv = call.this::<Iconv>()?;
    let text = call.bytes(0)?;
    let result = if iconv.closed.get() { Err(EBADF) } else { iconv.convert(text) };
    iconv.errno.set(result.as_ref().err().copied().unwrap_or(0));
    if let Ok(converted) = &result {
        ops::check_length(converted.len())?;
    }
    Ok(result.ok().into())
}

impl Iconv {
    fn convert(&self, text: &[u8]) -> Result<Vec<u8>, u32> {
        let unicode = self.from.decode(text, self.options.ignore)?;
        self.to.encode(&unicode, self.options)
    }
}

impl Charset {
    fn find(name: &str) -> Option<Charset> {
        let plain = name.trim().to_ascii_uppercase().replace('_', "-");
        Some(match &*plain {
            "ASCII" | "US-ASCII" | "ANSI-X3.4-1968" | "646" => Charset::Ascii,
            "ISO-8859-1" | "ISO8859-1" | "LATIN1" | "L1" => Charset::Latin1,
            "UTF-16" | "UTF16" => Charset::Utf16 { big: false, mark: true },
            "UTF-16LE" | "UTF16LE" | "UCS-2LE" => Charset::Utf16 { big: false, mark: false },
            "UTF-16BE" | "UTF16BE" | "UCS-2BE" | "UCS-2" => Charset::Utf16 { big: true, mark: false },
            "UTF-32" | "UTF32" => Charset::Utf32 { big: false, mark: true },
            "UTF-32LE" | "UTF32LE" | "UCS-4LE" => Charset::Utf32 { big: false, mark: false },
            "UTF-32BE" | "UTF32BE" | "UCS-4BE" | "UCS-4" => Charset::Utf32 { big: true, mark: false },
            "UTF8" => Charset::Table(encoding_rs::UTF_8),
            "CP932" => Charset::Table(encoding_rs::SHIFT_JIS),
            "CP949" => Charset::Table(encoding_rs::EUC_KR),
            "CP936" => Charset::Table(encoding_rs::GBK),
            "CP950" => Charset::Table(encoding_rs::BIG5),
            other => match other.strip_prefix("CP12") {
                Some(page) => Charset::Table(Encoding::for_label(format!("windows-12{page}").as_bytes())?),
                None => Charset::Table(Encoding::for_label(plain.as_bytes())?),
            },
        })
    }

    fn decode(self, text: &[u8], ignore: bool) -> Result<String, u32> {
        match self {
            Charset::Ascii => text
                .iter()
                .filter(|byte| !ignore || byte.is_ascii())
                .map(|byte| if byte.is_ascii() { Ok(char::from(*byte)) } else { Err(EILSEQ) })
                .collect(),
            Charset::Latin1 => Ok(text.iter().map(|byte| char::from(*byte)).collect()),
            Charset::Utf16 { big, mark } => decode_utf16(text, big, mark, ignore),
            Charset::Utf32 { big, mark } => decode_utf32(text, big, mark, ignore),
            Charset::Table(encoding) => decode_table(encoding, text, ignore),
        }
    }

    fn encode(self, text: &str, options: Options) -> Result<Vec<u8>, u32> {
        let single = |most: u32| {
            let mut out = Vec::with_capacity(text.len());
            for character in text.chars() {
                match u8::try_from(u32::from(character)) {
                    Ok(byte) if u32::from(byte) <= most => out.push(byte),
                    _ => out.extend_from_slice(replacement(options)?),
                }
            }
            Ok(out)
        };
        match self {
            Charset::Ascii => single(0x7f),
            Charset::Latin1 => single(0xff),
            Charset::Utf16 { big, mark } => {
                let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
                Ok(units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect())
            }
            Charset::Utf32 { big, mark } => {
                let units = mark.then_some(0xfeff).into_iter().chain(text.chars().map(u32::from));
                Ok(units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect())
            }
            Charset::Table(encoding) => encode_table(encoding, text, options),
        }
    }
}

/// What stands for a character that the target has not.
fn replacement(options: Options) -> Result<&'static [u8], u32> {
    match options {
        Options { transliterate: true, .. } => Ok(b"?"),
        Options { ignore: true, .. } => Ok(b""),
        _ => Err(EILSEQ),
    }
}

fn decode_table(encoding: &'static Encoding, text: &[u8], ignore: bool) -> Result<String, u32> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut out = String::with_capacity(text.len() + text.len() / 2 + 16);
    let mut rest = text;
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut out, true);
        let at_end = read == rest.len();
        rest = &rest[read..];
        match result {
            DecoderResult::InputEmpty => return Ok(out),
            DecoderResult::OutputFull => out.reserve(rest.len() * 3 + 16),
            DecoderResult::Malformed(..) if ignore => {}
            DecoderResult::Malformed(..) if at_end && encoding == encoding_rs::UTF_8 && is_cut(text) => {
                return Err(EINVAL);
            }
            DecoderResult::Malformed(..) => return Err(EILSEQ),
        }
    }
}

/// Whether UTF-8 is good up to a character that is not complete.
fn is_cut(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_err_and(|error| error.error_len().is_none())
}

fn encode_table(encoding: &'static Encoding, text: &str, options: Options) -> Result<Vec<u8>, u32> {
    let mut encoder = encoding.new_encoder();
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut rest = text;
    loop {
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, true);
        rest = &rest[read..];
        match result {
            EncoderResult::InputEmpty => return Ok(out),
            EncoderResult::OutputFull => out.reserve(rest.len() * 2 + 16),
            EncoderResult::Unmappable(_) => out.extend_from_slice(replacement(options)?),
        }
    }
}

fn decode_utf16(text: &[u8], big: bool, mark: bool, ignore: bool) -> Result<String, u32> {
    let (text, big) = match text {
        [0xfe, 0xff, rest @ ..] if mark => (rest, true),
        [0xff, 0xfe, rest @ ..] if mark => (rest, false),
        text => (text, big),
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() && !ignore {
        return Err(EINVAL);
    }
    let units =
        pairs.iter().map(|pair| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
    let decoded = char::decode_utf16(units);
    decoded.filter(|unit| !ignore || unit.is_ok()).map(|unit| unit.map_err(|_| EILSEQ)).collect()
}

fn decode_utf32(text: &[u8], big: bool, mark: bool, ignore: bool) -> Result<String, u32> {
    let (text, big) = match text {
        [0, 0, 0xfe, 0xff, rest @ ..] if mark => (rest, true),
        [0xff, 0xfe, 0, 0, rest @ ..] if mark => (rest, false),
        text => (text, big),
    };
    let (units, rest) = text.as_chunks::<4>();
    if !rest.is_empty() && !ignore {
        return Err(EINVAL);
    }
    let units =
        units.iter().map(|unit| if big { u32::from_be_bytes(*unit) } else { u32::from_le_bytes(*unit) });
    let decoded = units.map(char::from_u32);
    decoded.filter(|unit| !ignore || unit.is_some()).map(|unit| unit.ok_or(EILSEQ)).collect()
}

impl HostObject for Iconv {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn freeze(&self) -> Option<Frozen> {
        let (errno, closed) = (self.errno.get(), self.closed.get());
        let (from, to, options) = (self.from, self.to, self.options);
        Some(Frozen::Object(Arc::new(FrozenIconv { from, to, options, errno, closed })))
    }

    fn adopt(&self, changed: &Object) -> bool {
        if let Some(changed) = changed.downcast::<Iconv>() {
            self.errno.set(changed.errno.get());
        }
        false
    }

    fn size_bytes(&self) -> usize {
        size_of::<Iconv>()
    }
}

/// An `Iconv` on its way to another thread.
struct FrozenIconv {
    from: Charset,
    to: Charset,
    options: Options,
    errno: u32,
    closed: bool,
}

impl FrozenObject for FrozenIconv {
    fn thaw(self: Arc<Self>) -> Object {
        let (errno, closed) = (Cell::new(self.errno), Cell::new(self.closed));
        Object::host(Iconv { from: self.from, to: self.to, options: self.options, errno, closed })
    }

    fn size_bytes(&self) -> usize {
        size_of::<FrozenIconv>()
    }
}
