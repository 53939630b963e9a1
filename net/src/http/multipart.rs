//! A form of several parts (`multipart/form-data`, RFC 7578 over RFC 2046), taken apart as it comes in.

use std::fmt;

use memchr::memmem::Finder;
use memchr::memrchr;

use crate::limits;

/// Why a body is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// What follows a boundary is neither a line end nor `--`.
    BoundaryLine,
    /// The header of a part is none, or larger than [`limits::FORM_PART_HEAD_BYTES_MAX`].
    PartHead,
    /// A part does not say its name.
    Nameless,
    /// More parts than [`limits::FORM_PARTS_MAX`].
    TooManyParts,
    /// It ends before its last boundary.
    Truncated,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::BoundaryLine => "the form is malformed: a boundary line goes on",
            Malformed::PartHead => {
                "the form is malformed: the header of a part cannot be read or is too large"
            }
            Malformed::Nameless => {
                "the form is malformed: a part has no Content-Disposition: form-data; name="
            }
            Malformed::TooManyParts => "the form has too many parts",
            Malformed::Truncated => "the form is malformed: its last boundary is missing",
        })
    }
}

/// What the header of a part says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `name` of its Content-Disposition.
    pub name: String,
    /// Its Content-Transfer-Encoding, in lower case; empty where it has none.
    pub transfer_encoding: String,
}

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// A part begins.
    Part(Part),
    /// Bytes of it.
    Data(&'i [u8]),
    /// It is complete.
    PartEnd,
}

/// Takes a form apart. Holds no more than a boundary, or the header of a part.
///
/// ```
/// use net::http::multipart::{Event, Form, boundary};
///
/// let boundary = boundary(b"multipart/form-data; boundary=x").expect("a form");
/// let mut form = Form::new(&boundary);
/// let body = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--x--\r\n";
/// let mut seen = Vec::new();
/// form.receive(body, |event| seen.push(format!("{event:?}")))?;
/// form.finish()?;
/// assert_eq!(seen[1..], ["Data([111, 110, 101])", "PartEnd"]);
/// # Ok::<(), net::http::multipart::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Form {
    /// CRLF, two hyphens, the boundary.
    delimiter: Finder<'static>,
    state: State,
    /// What has come and cannot be judged yet: the beginning of a delimiter, of a boundary line, of a header.
    held: Vec<u8>,
    parts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary, in its line.
    Line,
    /// In the header of a part.
    Head,
    /// In its content.
    Data,
    /// Behind the last boundary.
    Epilogue,
}

/// The boundary in a Content-Type; `None`: it is no `multipart/form-data` with one.
pub fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let (kind, parameters) = split_value(content_type);
    let boundary = parameter(parameters, "boundary")?;
    let is_fine = (1..=limits::FORM_BOUNDARY_BYTES_MAX).contains(&boundary.len())
        && boundary.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        && !boundary.ends_with(b" ");
    (kind.eq_ignore_ascii_case(b"multipart/form-data") && is_fine).then_some(boundary)
}

impl Form {
    /// Of a body whose parts are divided by this.
    pub fn new(boundary: &[u8]) -> Form {
        let delimiter = [b"\r\n--", boundary].concat();
        // The first boundary begins a line as well.
        let held = b"\r\n".to_vec();
        Form { delimiter: Finder::new(&delimiter).into_owned(), state: State::Preamble, held, parts: 0 }
    }

    /// Takes bytes of the body and says what is in them.
    ///
    /// # Errors
    /// It is no form.
    pub fn receive(&mut self, mut input: &[u8], mut tell: impl FnMut(Event<'_>)) -> Result<(), Malformed> {
        while !input.is_empty() {
            match self.state {
                State::Preamble => self.search(&mut input, |_| ()),
                State::Data => {
                    self.search(&mut input, |data| tell(Event::Data(data)));
                    if self.state == State::Line {
                        tell(Event::PartEnd);
                    }
                }
                State::Line => self.line(&mut input)?,
                State::Head => {
                    if let Some(part) = self.head(&mut input)? {
                        tell(Event::Part(part));
                    }
                }
                State::Epilogue => return Ok(()),
            }
        }
        Ok(())
    }

    /// The body is over.
    ///
    /// # Errors
    /// Its last boundary has not come.
    pub fn finish(&self) -> Result<(), Malformed> {
        // `--` behind the boundary is the end, with or without a line end of its own.
        if self.state == State::Epilogue { Ok(()) } else { Err(Malformed::Truncated) }
    }

    /// Takes bytes up to a delimiter, or to what could be the beginning of one.
    fn search(&mut self, input: &mut &[u8], mut data: impl FnMut(&[u8])) {
        let delimiter_bytes = self.delimiter.needle().len();
        if !self.held.is_empty() {
            let held_bytes = self.held.len();
            let looked = input.len().min(delimiter_bytes);
            self.held.extend_from_slice(&input[..looked]);
            let joined = std::mem::take(&mut self.held);
            match self.delimiter.find(&joined) {
                Some(at) if at < held_bytes => {
                    emit(&joined[..at], &mut data);
                    *input = &input[at + delimiter_bytes - held_bytes..];
                    self.state = State::Line;
                }
                // What was held begins no delimiter.
                _ if looked == delimiter_bytes => emit(&joined[..held_bytes], &mut data),
                _ => {
                    let begins = self.begins_at(&joined);
                    emit(&joined[..begins], &mut data);
                    self.held = joined[begins..].to_vec();
                    *input = &[];
                }
            }
            return;
        }
        match self.delimiter.find(input) {
            Some(at) => {
                emit(&input[..at], &mut data);
                *input = &input[at + delimiter_bytes..];
                self.state = State::Line;
            }
            None => {
                let begins = self.begins_at(input);
                emit(&input[..begins], &mut data);
                self.held.extend_from_slice(&input[begins..]);
                *input = &[];
            }
        }
    }

    /// Where a delimiter may begin that is cut off by the end; the length where none does. There is one CR in it, at its
    /// beginning.
    fn begins_at(&self, bytes: &[u8]) -> usize {
        let delimiter = self.delimiter.needle();
        let tail = bytes.len().saturating_sub(delimiter.len() - 1);
        memrchr(b'\r', &bytes[tail..])
            .map(|at| tail + at)
            .filter(|at| delimiter.starts_with(&bytes[*at..]))
            .unwrap_or(bytes.len())
    }

    /// Behind a boundary: `--` ends the form, blanks and CRLF begin a part.
    fn line(&mut self, input: &mut &[u8]) -> Result<(), Malformed> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.held.push(byte);
            match self.held.as_slice() {
                b"--" => {
                    self.state = State::Epilogue;
                    self.held = Vec::new();
                    return Ok(());
                }
                b"-" => {}
                [blanks @ .., b'\r', b'\n'] if are_blanks(blanks) => {
                    self.parts += 1;
                    if self.parts > limits::FORM_PARTS_MAX {
                        return Err(Malformed::TooManyParts);
                    }
                    self.state = State::Head;
                    self.held.clear();
                    return Ok(());
                }
                [blanks @ .., b'\r'] if are_blanks(blanks) => {}
                blanks if are_blanks(blanks) && blanks.len() <= limits::FORM_BOUNDARY_BYTES_MAX => {}
                _ => return Err(Malformed::BoundaryLine),
            }
        }
        Ok(())
    }

    /// The header of a part, up to its empty line.
    fn head(&mut self, input: &mut &[u8]) -> Result<Option<Part>, Malformed> {
        let searched = self.held.len().saturating_sub(3);
        let room = limits::FORM_PART_HEAD_BYTES_MAX - self.held.len();
        let taken = input.len().min(room);
        let before = self.held.len();
        self.held.extend_from_slice(&input[..taken]);
        let end = match self.held.starts_with(b"\r\n") {
            true => Some(2),
            false => memchr::memmem::find(&self.held[searched..], b"\r\n\r\n").map(|at| searched + at + 4),
        };
        let Some(end) = end else {
            *input = &input[taken..];
            let is_full = self.held.len() == limits::FORM_PART_HEAD_BYTES_MAX;
            return if is_full { Err(Malformed::PartHead) } else { Ok(None) };
        };
        *input = &input[end - before..];
        let part = parse_head(&self.held[..end])?;
        self.held.clear();
        self.state = State::Data;
        Ok(Some(part))
    }
}

fn emit(bytes: &[u8], data: &mut impl FnMut(&[u8])) {
    if !bytes.is_empty() {
        data(bytes);
    }
}

fn are_blanks(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

fn parse_head(head: &[u8]) -> Result<Part, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(head, &mut fields) else {
        return Err(Malformed::PartHead);
    };
    let field = |name: &str| fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let disposition = field("content-disposition").ok_or(Malformed::Nameless)?;
    let (kind, parameters) = split_value(disposition.value);
    let name = parameter(parameters, "name").filter(|_| kind.eq_ignore_ascii_case(b"form-data"));
    let name = name.and_then(|name| String::from_utf8(name).ok()).ok_or(Malformed::Nameless)?;
    let coding = field("content-transfer-encoding").map_or(&b""[..], |field| field.value);
    let transfer_encoding = String::from_utf8_lossy(coding.trim_ascii()).to_ascii_lowercase();
    Ok(Part { name, transfer_encoding })
}

/// A value, and the parameters behind it.
fn split_value(field: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b';', field).unwrap_or(field.len());
    (field[..end].trim_ascii(), &field[end..])
}

/// The value of a parameter, its quotes undone (RFC 9110 5.6.6). `text` begins with a semicolon, or is empty.
fn parameter(mut text: &[u8], wanted: &str) -> Option<Vec<u8>> {
    loop {
        text = text.trim_ascii_start().strip_prefix(b";")?.trim_ascii_start();
        let equals = text.iter().position(|byte| matches!(byte, b'=' | b';'))?;
        let name = text[..equals].trim_ascii();
        text = match text[equals] {
            b'=' => text[equals + 1..].trim_ascii_start(),
            _ => {
                text = &text[equals..];
                continue;
            }
        };
        let mut value = Vec::new();
        if let Some(mut rest) = text.strip_prefix(b"\"") {
            loop {
                match rest {
                    [b'"', after @ ..] => break text = after,
                    [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                        value.push(*byte);
                        rest = after;
                    }
                    [] => return None,
                }
            }
        } else {
            let end = memchr::memchr(b';', text).unwrap_or(text.len());
            value.extend_from_slice(text[..end].trim_ascii());
            text = &text[end..];
        }
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names and contents of the parts in `pieces`.
    fn parts(boundary: &[u8], pieces: &[&[u8]]) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
        let mut form = Form::new(boundary);
        let (mut parts, mut open) = (Vec::new(), false);
        for piece in pieces {
            form.receive(piece, |event| match event {
                Event::Part(part) => {
                    assert!(!open, "a part within a part");
                    open = true;
                    parts.push((part.name, Vec::new()));
                }
                Event::Data(data) => {
                    assert!(open && !data.is_empty());
                    parts.last_mut().expect("open").1.extend_from_slice(data);
                }
                Event::PartEnd => open = false,
            })?;
        }
        form.finish()?;
        assert!(!open);
        Ok(parts)
    }

    fn part(name: &str, content: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    }

    #[test]
    fn forms_are_taken_apart_wherever_they_are_cut() {
        let usual = format!("{}{}--b--\r\n", part("one", "1"), part("two", "2\r\n--c\r\n"));
        let odd = format!(
            "nobody reads this\r\n{}{}--b--",
            part("empty", "").replace("--b\r", "--b \t\r"),
            part("x", "\r\n--\r\n-- b\r\r\n--\r\n-")
        );
        let cases = [
            (&usual, vec![("one", "1"), ("two", "2\r\n--c\r\n")]),
            (&odd, vec![("empty", ""), ("x", "\r\n--\r\n-- b\r\r\n--\r\n-")]),
        ];
        for (wire, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()))
                .collect();
            for one in 0..=wire.len() {
                for two in [one, (one + 1).min(wire.len()), (one + 7).min(wire.len()), wire.len()] {
                    let wire = wire.as_bytes();
                    let pieces = [&wire[..one], &wire[one..two], &wire[two..]];
                    assert_eq!(parts(b"b", &pieces), Ok(expected.clone()), "cut at {one} and {two}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_form_is_refused_and_held_in_no_memory() {
        let head = "--b\r\nContent-Disposition: form-data; name=a\r\n";
        let endless = format!("--b\r\nX: {}", "x".repeat(limits::FORM_PART_HEAD_BYTES_MAX));
        let many = part("p", "").repeat(limits::FORM_PARTS_MAX as usize + 1);
        let cases = [
            ("", Malformed::Truncated),
            ("no boundary at all", Malformed::Truncated),
            ("--b", Malformed::Truncated),
            ("--b-", Malformed::Truncated),
            (&format!("{head}\r\nnever ends"), Malformed::Truncated),
            (&format!("{head}\r\nonly a line\r\n--b\r\n"), Malformed::Truncated),
            ("--bb\r\n", Malformed::BoundaryLine),
            ("--b-\r\n", Malformed::BoundaryLine),
            ("--b\n", Malformed::BoundaryLine),
            (&format!("--b{}\r\n", " ".repeat(100)), Malformed::BoundaryLine),
            ("--b\r\n\r\nx\r\n--b--", Malformed::Nameless),
            ("--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--", Malformed::Nameless),
            ("--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--", Malformed::Nameless),
            ("--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--b--", Malformed::Nameless),
            ("--b\r\nno field\r\n\r\nx\r\n--b--", Malformed::PartHead),
            (&endless, Malformed::PartHead),
            (&many, Malformed::TooManyParts),
        ];
        for (wire, expected) in cases {
            assert_eq!(parts(b"b", &[wire.as_bytes()]), Err(expected), "{wire}");
            let bytes: Vec<&[u8]> = wire.as_bytes().chunks(1).collect();
            assert_eq!(parts(b"b", &bytes), Err(expected), "{wire} byte by byte");
        }
    }

    #[test]
    fn the_boundary_is_a_parameter_with_or_without_quotes() {
        let cases: &[(&str, Option<&str>)] = &[
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b;c\" ; x=y", Some("a b;c")),
            ("multipart/form-data; x; boundary=abc", Some("abc")),
            ("multipart/form-data; note=\"boundary=no; boundary=no\"; boundary=yes", Some("yes")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"open", None),
            ("multipart/form-data; boundary=\"ends with a blank \"", None),
            ("multipart/mixed; boundary=abc", None),
            ("application/json", None),
            ("", None),
        ];
        for (value, expected) in cases {
            let found = boundary(value.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{value}");
        }
        let long =
            format!("multipart/form-data; boundary={}", "x".repeat(limits::FORM_BOUNDARY_BYTES_MAX + 1));
        assert_eq!(boundary(long.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn a_part_comes_out_as_it_went_in(
            words in prop::collection::vec(
                prop::sample::select(vec!["\r\n", "\r", "\n", "-", "--", "\r\n--", "--b", "b", "\r\n--a", "x", "\r\n--bc"]), 0..30),
            cuts in prop::collection::vec(0usize..200, 0..5),
        ) {
            // `bc` as the boundary: then `\r\n--b` is a beginning that leads to nothing.
            let content = words.concat();
            prop_assume!(!format!("{content}\r\n").contains("\r\n--bc"));
            let wire = format!("--bc\r\nContent-Disposition: form-data; name=n\r\n\r\n{content}\r\n--bc--\r\n");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &wire.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parts(b"bc", &pieces), Ok(vec![("n".to_owned(), content.into_bytes())]));
        }
    }
}
