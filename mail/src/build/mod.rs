//! Builds new messages and parts.
//!
//! A [`Builder`] collects fields, a body and children, and writes them with [`Builder::to_bytes`]. Children are taken as
//! they are at the time: later changes to them do not show. Randomness comes in as the default boundary.

#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

use crate::compat::{BUILD_CHARSET, BUILD_DISPOSITION, BUILD_TYPE};
use crate::date;
use crate::header::{self, NameError, Parameterised};
use crate::limits::{BOUNDARY_BYTES_MAX, BUILD_DEPTH_MAX, EDITS_MAX};
use crate::lines;
use crate::message::{BodyForm, ValueForm};
use crate::mime::has_boundary_line;
use crate::mime::transfer::Encoding;

/// Why the builder did not take something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BuildError {
    /// The name cannot be that of a header field.
    Name(NameError),
    /// Too many fields, parts, or parts within parts.
    TooMany,
    /// The boundary is empty, too long, or has characters that RFC 2046 5.1.1 does not allow.
    Boundary,
    /// A line of a part, or of what stands before the parts, is the boundary (RFC 2046 5.1.1).
    BoundaryLine,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Name(error) => error.fmt(f),
            BuildError::TooMany => {
                f.write_str("the message has too many fields, parts, or parts within parts")
            }
            BuildError::Boundary => {
                f.write_str("a boundary is 1 to 70 letters, digits or '()+_,-./:=? characters")
            }
            BuildError::BoundaryLine => f.write_str("a line of the content is the boundary of its parts"),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<NameError> for BuildError {
    fn from(error: NameError) -> BuildError {
        BuildError::Name(error)
    }
}

/// A message or part in the making.
#[derive(Clone, Debug)]
pub struct Builder {
    /// Name and whole field, in the order in which they are written.
    fields: Vec<(Bytes, Bytes)>,
    kind: Option<Bytes>,
    boundary: Bytes,
    disposition: Option<Bytes>,
    file_name: Option<String>,
    body: Bytes,
    children: Vec<Bytes>,
    /// How deep the children go.
    depth: usize,
}

impl Builder {
    /// An empty text part. `boundary` is what separates children unless another one is set: it is random.
    pub fn new(boundary: &str) -> Builder {
        Builder {
            fields: Vec::new(),
            kind: None,
            boundary: Bytes::copy_from_slice(boundary.as_bytes()),
            disposition: None,
            file_name: None,
            body: Bytes::new(),
            children: Vec::new(),
            depth: 0,
        }
    }

    /// Adds a field behind those that were added before.
    pub fn add_header(&mut self, name: &[u8], value: &[u8], form: ValueForm) -> Result<(), BuildError> {
        let field = self.field(name, value, form)?;
        match is_type(name) {
            true => self.change_boundary(|builder| builder.fields.push(field)),
            false => {
                self.fields.push(field);
                Ok(())
            }
        }
    }

    /// Adds a field before all others, as signatures are.
    pub fn prepend_header(&mut self, name: &[u8], value: &[u8], form: ValueForm) -> Result<(), BuildError> {
        let field = self.field(name, value, form)?;
        self.fields.insert(0, field);
        Ok(())
    }

    fn field(&self, name: &[u8], value: &[u8], form: ValueForm) -> Result<(Bytes, Bytes), BuildError> {
        header::check_name(name)?;
        if self.fields.len() >= EDITS_MAX {
            return Err(BuildError::TooMany);
        }
        let raw = match form {
            ValueForm::Encode => header::encode_field(name, value),
            ValueForm::Verbatim => header::fold_verbatim(name, value),
        };
        Ok((Bytes::copy_from_slice(name), raw.into()))
    }

    /// The Content-Type, which may have parameters. An added Content-Type field comes before it.
    pub fn set_type(&mut self, kind: &[u8]) -> Result<(), BuildError> {
        self.change_boundary(|builder| builder.kind = Some(Bytes::copy_from_slice(kind)))
    }

    /// What separates the children.
    pub fn set_boundary(&mut self, boundary: &[u8]) -> Result<(), BuildError> {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
        let valid = (1..=BOUNDARY_BYTES_MAX.min(70)).contains(&boundary.len())
            && boundary.iter().all(allowed)
            && !boundary.ends_with(b" ");
        if !valid {
            return Err(BuildError::Boundary);
        }
        self.change_boundary(|builder| builder.boundary = Bytes::copy_from_slice(boundary))
    }

    /// Changes what the boundary follows from, unless a line of the content is the new one.
    fn change_boundary(&mut self, change: impl FnOnce(&mut Builder)) -> Result<(), BuildError> {
        let before = (self.kind.clone(), self.boundary.clone(), self.fields.len());
        change(self);
        let boundary = self.written_boundary();
        let mut content = self.children.iter().chain(self.children.first().map(|_| &self.body));
        let checked = content.try_for_each(|text| check_line(text, &boundary));
        if checked.is_err() {
            (self.kind, self.boundary) = (before.0, before.1);
            self.fields.truncate(before.2);
        }
        checked
    }

    /// The Date field; one that was set before is replaced.
    pub fn set_date(&mut self, unix_s: i64, offset_min: i32) -> Result<(), BuildError> {
        self.fields.retain(|(name, _)| !name.eq_ignore_ascii_case(b"date"));
        self.add_header(b"Date", date::format(unix_s, offset_min).as_bytes(), ValueForm::Verbatim)
    }

    /// The file name of the Content-Disposition.
    pub fn set_file_name(&mut self, name: &str) {
        self.file_name = Some(name.to_owned());
    }

    /// The kind of the Content-Disposition: `attachment` or `inline`.
    pub fn set_disposition(&mut self, disposition: &[u8]) {
        self.disposition = Some(Bytes::copy_from_slice(disposition));
    }

    /// The content; what stands before the first child when there are children. Lines of text end in CRLF when it is
    /// written, and so do those of what is encoded already.
    pub fn set_body(&mut self, body: Bytes) -> Result<(), BuildError> {
        if !self.children.is_empty() {
            check_line(&body, &self.written_boundary())?;
        }
        self.body = body;
        Ok(())
    }

    /// Adds a child as it is now.
    pub fn append(&mut self, child: &Builder) -> Result<(), BuildError> {
        if child.depth + 1 > BUILD_DEPTH_MAX {
            return Err(BuildError::TooMany);
        }
        self.append_raw(child.part_to_bytes().into())?;
        self.depth = self.depth.max(child.depth + 1);
        Ok(())
    }

    /// Adds a child that is given with its header.
    pub fn append_raw(&mut self, child: Bytes) -> Result<(), BuildError> {
        if self.children.len() >= EDITS_MAX {
            return Err(BuildError::TooMany);
        }
        let child = lines::with_crlf(child);
        let boundary = self.written_boundary();
        check_line(&child, &boundary)?;
        if self.children.is_empty() {
            // It becomes what stands before the parts.
            check_line(&self.body, &boundary)?;
        }
        self.children.push(child);
        Ok(())
    }

    /// Memory that it holds.
    pub fn size_bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(_, raw)| raw.len()).sum();
        let children: usize = self.children.iter().map(Bytes::len).sum();
        size_of::<Builder>() + fields + children + self.body.len()
    }

    /// The whole as a message, with MIME-Version.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(true)
    }

    /// The whole as a part of another.
    pub fn part_to_bytes(&self) -> Vec<u8> {
        self.write(false)
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn write(&self, is_message: bool) -> Vec<u8> {
        let mut output = Vec::new();
        let added_type = self.fields.iter().position(|(name, _)| is_type(name));
        for (index, (_, raw)) in self.fields.iter().enumerate() {
            match Some(index) == added_type {
                true => output.extend(self.with_boundary(raw)),
                false => output.extend_from_slice(raw),
            }
        }
        if is_message && !self.has("mime-version") {
            output.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        if added_type.is_none() {
            output.extend(header::encode_field(b"Content-Type", &self.content_type()));
        }
        if let Some(value) = self.content_disposition().filter(|_| !self.has("content-disposition")) {
            output.extend(header::encode_field(b"Content-Disposition", value.as_bytes()));
        }
        if self.children.is_empty() {
            self.write_body(&mut output);
        } else {
            self.write_children(&mut output);
        }
        output
    }

    /// A Content-Type field that was added, with the boundary that it lacks.
    fn with_boundary(&self, raw: &[u8]) -> Vec<u8> {
        let is_named = || Parameterised::parse(&self.written_type()).bytes("boundary").is_some();
        if self.children.is_empty() || is_named() {
            return raw.to_vec();
        }
        let boundary = header::format_parameter("boundary", &String::from_utf8_lossy(&self.boundary));
        let field = raw.trim_ascii_end();
        let field = field.strip_suffix(b";").unwrap_or(field);
        [field, b";\r\n", boundary.trim_start_matches(';').as_bytes(), b"\r\n"].concat()
    }

    fn content_type(&self) -> Vec<u8> {
        let mut value = self.kind.as_deref().unwrap_or(BUILD_TYPE.as_bytes()).to_vec();
        let parsed = Parameterised::parse(&value);
        if !self.children.is_empty() && parsed.bytes("boundary").is_none() {
            let boundary = String::from_utf8_lossy(&self.boundary);
            value.extend_from_slice(header::format_parameter("boundary", &boundary).as_bytes());
        } else if parsed.value.starts_with("text/") && parsed.bytes("charset").is_none() {
            value.extend_from_slice(header::format_parameter("charset", BUILD_CHARSET).as_bytes());
        }
        value
    }

    fn content_disposition(&self) -> Option<String> {
        let file_name = self.file_name.as_ref().map(|name| header::format_parameter("filename", name));
        let kind = self.disposition.as_ref().map(|kind| String::from_utf8_lossy(kind).into_owned());
        match (kind, file_name) {
            (None, None) => None,
            (kind, file_name) => {
                Some(kind.unwrap_or_else(|| BUILD_DISPOSITION.to_owned()) + &file_name.unwrap_or_default())
            }
        }
    }

    fn write_body(&self, output: &mut Vec<u8>) {
        if self.has("content-transfer-encoding") {
            output.extend_from_slice(b"\r\n");
            output.extend_from_slice(&lines::with_crlf(self.body.clone()));
            return;
        }
        let kind = Parameterised::parse(&self.written_type()).value;
        let (body, encoding) =
            BodyForm::of_type(Some(&kind), false).write_in(&self.body, Encoding::shorter_for);
        output.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes());
        output.extend_from_slice(&body);
    }

    fn write_children(&self, output: &mut Vec<u8>) {
        let boundary = self.written_boundary();
        output.extend_from_slice(b"\r\n");
        if !self.body.is_empty() {
            output.extend_from_slice(&lines::with_crlf(self.body.clone()));
            output.extend_from_slice(b"\r\n");
        }
        for child in &self.children {
            for piece in [b"--", &boundary[..], b"\r\n", child, b"\r\n"] {
                output.extend_from_slice(piece);
            }
        }
        output.extend_from_slice(&[b"--", &boundary[..], b"--\r\n"].concat());
    }

    /// The boundary that the Content-Type names.
    fn written_boundary(&self) -> Bytes {
        let kind = Parameterised::parse(&self.written_type());
        kind.bytes("boundary").map_or_else(|| self.boundary.clone(), |named| Bytes::copy_from_slice(&named))
    }

    /// The value of the Content-Type, wherever it comes from.
    fn written_type(&self) -> Vec<u8> {
        let added = self.fields.iter().find(|(name, _)| is_type(name));
        match added {
            Some((name, raw)) => header::unfold(&raw[name.len() + 1..]).into_owned(),
            None => self.content_type(),
        }
    }
}

fn is_type(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-type")
}

fn check_line(text: &Bytes, boundary: &[u8]) -> Result<(), BuildError> {
    match has_boundary_line(&lines::with_crlf(text.clone()), std::iter::once(boundary)) {
        true => Err(BuildError::BoundaryLine),
        false => Ok(()),
    }
}
