//! Writes the few flat JSON objects that the programs print. There is nothing to read, hence no library.

use std::fmt::{Display, Write};

/// A JSON object under construction; members appear in the order in which they are added.
///
/// ```
/// let mut object = bench::json::Object::default();
/// object.number("ok", 3).text("name", "a \"b\"");
/// assert_eq!(object.finish(), r#"{"ok":3,"name":"a \"b\""}"#);
/// ```
#[derive(Debug, Default)]
pub struct Object {
    out: String,
}

impl Object {
    /// A number, as `Display` writes it; not a number and infinities become null.
    pub fn number(&mut self, name: &str, value: impl Display) -> &mut Self {
        let text = value.to_string();
        let text = if text.contains(['N', 'i']) { "null".into() } else { text };
        self.member(name, &text)
    }

    /// A string.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        let quoted = quote(value);
        self.member(name, &quoted)
    }

    /// An object.
    pub fn object(&mut self, name: &str, value: Object) -> &mut Self {
        let text = value.finish();
        self.member(name, &text)
    }

    /// The text.
    pub fn finish(self) -> String {
        format!("{{{}}}", self.out)
    }

    fn member(&mut self, name: &str, value: &str) -> &mut Self {
        if !self.out.is_empty() {
            self.out.push(',');
        }
        self.out.push_str(&quote(name));
        self.out.push(':');
        self.out.push_str(value);
        self
    }
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x20 => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_cannot_hold_is_escaped() {
        let mut inner = Object::default();
        inner.text("a\nb", "\\\"\u{1}é");
        let mut object = Object::default();
        object.object("x", inner).number("y", f64::NAN).number("z", -1.5);
        assert_eq!(object.finish(), r#"{"x":{"a\u000ab":"\\\"\u0001é"},"y":null,"z":-1.5}"#);
    }
}
