//! Data imports: what `import $v from "file.ext"` makes of a file (hsl-language 14.3).

use super::map_set::{FrozenTable, Kind, SetObject};
use super::{csv, json, yaml};
use crate::fault::Fault;
use crate::native::{Library, Options};
use crate::value::{Array, Frozen};

/// Adds the loaders by extension.
pub(crate) fn register(library: &mut Library) {
    library
        .data_loader("json", load_json)
        .data_loader("csv", load_csv)
        .data_loader("yaml", load_yaml)
        .data_loader("yml", load_yaml)
        .data_loader("txt", load_text)
        .data_loader("set", load_set);
}

/// One JSON value; comments are allowed.
fn load_json(file: &[u8], _options: &Array) -> Result<Frozen, Fault> {
    json::decode(file, true).map_err(|error| Fault::error(format!("malformed JSON: {error}")))?.freeze()
}

/// Rows, by the options of `csv_decode`.
fn load_csv(file: &[u8], options: &Array) -> Result<Frozen, Fault> {
    let layout = csv::Layout::new(&Options::new("import", Some(options.clone())))?;
    let rows = csv::decode(file, &layout)?
        .ok_or_else(|| Fault::error("a cell does not fit the type of its column"))?;
    crate::Value::from(rows).freeze()
}

/// The first document.
fn load_yaml(file: &[u8], _options: &Array) -> Result<Frozen, Fault> {
    yaml::decode(file).map_err(|error| Fault::error(format!("malformed YAML: {error}")))?.freeze()
}

/// The text, or with the option `array` its lines without their ends.
fn load_text(file: &[u8], options: &Array) -> Result<Frozen, Fault> {
    if !Options::new("import", Some(options.clone())).boolean("array", false)? {
        return Ok(Frozen::str(file));
    }
    Frozen::list(lines(file).map(Frozen::str).collect())
}

/// The lines of a text, as a `Set` of strings; empty lines are none of them. The name of this loader is ours.
fn load_set(file: &[u8], _options: &Array) -> Result<Frozen, Fault> {
    let members = lines(file).filter(|line| !line.is_empty()).map(|line| (Frozen::str(line), Frozen::None));
    FrozenTable::new(Kind::String, Kind::Any, members).map(SetObject::frozen)
}

/// Lines without LF or CRLF; nothing follows the last line end.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let count = if text.is_empty() { 0 } else { usize::MAX };
    text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::std::driver::call_with;
    use crate::std::testing::{StillHost, text};
    use crate::value::{Key, Value};

    fn load(extension: &str, file: &str, options: &str) -> Result<String, String> {
        let options = json::decode(options.as_bytes(), false).unwrap();
        let load = Library::standard().loader(extension).unwrap();
        let frozen = load(file.as_bytes(), options.as_array().unwrap()).map_err(|fault| fault.to_string())?;
        Ok(Value::from_frozen(&frozen).to_text().unwrap().to_string_lossy().into_owned())
    }

    #[test]
    fn files_become_values() {
        let cases = [
            ("json", "// c\n{\"a\":[1,/**/2]}", "{}", r#"["a"=>[0=>1,1=>2]]"#),
            ("csv", "a;b\n1;2", r#"{"delimiter":";"}"#, r#"[0=>["a"=>"1","b"=>"2"]]"#),
            ("yaml", "a: [1, x]\n", "{}", r#"["a"=>[0=>1,1=>"x"]]"#),
            ("txt", "a\r\nb\n", "{}", "a\r\nb\n"),
            ("txt", "a\r\nb\n\nc", r#"{"array":true}"#, r#"[0=>"a",1=>"b",2=>"",3=>"c"]"#),
            ("txt", "", r#"{"array":true}"#, "[]"),
            ("txt", "\n", r#"{"array":true}"#, "[]"),
        ];
        for (extension, file, options, expected) in cases {
            assert_eq!(load(extension, file, options).as_deref(), Ok(expected), "{file:?}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        assert_eq!(load("json", "[1,", "{}").unwrap_err(), "malformed JSON: expected a value at byte 3");
        assert!(load("yaml", "a: [", "{}").unwrap_err().starts_with("malformed YAML: "));
        assert!(load("txt", "", r#"{"array":1}"#).is_err());
        let schema = r#"{"schema":{"n":{"type":"number"}}}"#;
        assert_eq!(load("csv", "n\nx", schema).unwrap_err(), "a cell does not fit the type of its column");
    }

    #[test]
    fn a_set_has_the_lines_of_a_file() {
        let set = Value::from_frozen(&load_set(b"a\r\nb\n\na\n", &Array::new()).unwrap());
        let ask = |method: &str, args: Vec<Value>| {
            text(call_with(&mut StillHost::default(), set.as_object(), method, args))
        };
        assert_eq!(ask("size", vec![]), "2");
        assert_eq!(ask("has", vec!["a".into()]), "true");
        assert_eq!(ask("has", vec!["".into()]), "false");
    }

    #[test]
    fn a_frozen_row_is_found_by_its_keys() {
        let rows = Value::from_frozen(&load_csv(b"a,7\n1,2", &Array::new()).unwrap());
        let row = rows.as_array().unwrap().get_index(0).unwrap();
        assert_eq!(row.as_array().unwrap().get(&Key::Int(7)).unwrap().as_bytes(), Some(&b"2"[..]));
    }
}
