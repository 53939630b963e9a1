//! Writes the reference of all keys from the tables.

use std::fmt::Write;

use crate::Scope;
use crate::schema::{Default, File, Key, Shape, Status, Type};

/// The text of `docs/reference/configuration.md`.
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    for file in File::ALL {
        let _ = write!(
            text,
            "\n## {}\n\n| Key | Type | Default | Since | Meaning | Status |\n|---|---|---|---|---|---|\n",
            file.file_name()
        );
        rows(&mut text, file.keys(Scope::Server), "", "");
    }
    text
}

const INTRODUCTION: &str = "# Configuration reference

<!-- Generated from the tables in config/src/schema by `UPDATE_DOCS=1 cargo test -p config`. Do not edit. -->

The files are YAML (JSON is YAML too), one document each, with a mapping at the top. A key that is not listed here is an
error, and so is a key that is written twice. All errors of a file are reported in one run, as
`<file>:<line>:<column>: <key>: <what is wrong>; <what to do>`.

* `a.b[].c` is the key `c` in every item of the list `a.b`; `<name>` is a key of your choice.
* *time*: whole seconds, or a form like `1d12h`, `15m`, `90s`. *size*: bytes, or a form like `10MiB` (`B`, `KiB`, `MiB`,
  `GiB`, `TiB`). *octal*: a file mode in quotes, like `\"0660\"`. *id*: letters, digits and `. _ / @ + -`.
* *match*: a value to compare with, or a list of them, of which one must match. Domains: `example.com`, `*.example.com`
  (any host below it, not the domain itself), `/regular expression/`. Addresses: `192.0.2.1`, `192.0.2.0/24`,
  `2001:db8::/32`. Other text: itself, or `/regular expression/`. `@name` is a list under `lists`, `&id` a grouping under
  `queues.grouping`.
* With `--config-env-substitution`, a value tagged `!Env` has every `${NAME}` replaced by the environment variable, and
  every `${NAME:default}` by the variable or the default: `port: !Env \"${PORT:2525}\"`.
* *Since* is the release of the documented product in which a key is first known; empty: not known.

Status: *used*: does what it says. *no effect*: read and checked; a warning at load gives the reason. *not yet*: refused,
because ignoring it would not do what you expect; the value shown, where there is one, asks for nothing and is accepted.
";

fn rows(text: &mut String, keys: &[Key], prefix: &str, inherited: &str) {
    for key in keys {
        let path = if prefix.is_empty() { key.name.to_owned() } else { format!("{prefix}.{}", key.name) };
        let status = if inherited.is_empty() { status(key.status) } else { inherited.to_owned() };
        let _ = writeln!(
            text,
            "| `{path}` | {} | {} | {} | {} | {status} |",
            type_of(key.shape),
            default(key),
            key.since,
            key.meaning
        );
        let as_this = format!("as `{path}`");
        let below = if inherited.is_empty() && matches!(key.status, Status::Used) {
            ""
        } else if inherited.is_empty() {
            &as_this
        } else {
            inherited
        };
        below_of(text, key.shape, &path, below);
    }
}

fn below_of(text: &mut String, shape: Shape, path: &str, inherited: &str) {
    match shape {
        Shape::Object(keys) | Shape::OneOrObject(_, keys) => rows(text, keys, path, inherited),
        Shape::List(item) => below_of(text, *item, &format!("{path}[]"), inherited),
        Shape::Map(value) => below_of(text, *value, &format!("{path}.<name>"), inherited),
        Shape::One(_) | Shape::OneOrMany(_) | Shape::Any => {}
    }
}

fn status(status: Status) -> String {
    match status {
        Status::Used => "used".to_owned(),
        Status::NoEffect { why, .. } => format!("no effect: {why}"),
        Status::NotYet { fine: [] } => "not yet".to_owned(),
        Status::NotYet { fine } => {
            let values: Vec<String> = fine.iter().map(|value| format!("`{value}`")).collect();
            format!("not yet, except {}", values.join(", "))
        }
    }
}

fn default(key: &Key) -> String {
    match (key.default, key.required) {
        (_, true) => "required".to_owned(),
        (Default::None, _) => String::new(),
        (Default::Value("\"\""), _) => "empty".to_owned(),
        (Default::Value(yaml), _) => format!("`{}`", yaml.replace('|', "\\|")),
        (Default::Derived(from) | Default::Optional(from), _) => from.to_owned(),
    }
}

fn type_of(shape: Shape) -> String {
    match shape {
        Shape::One(ty) => name_of(ty),
        Shape::OneOrMany(Type::Match { .. }) => "match".to_owned(),
        Shape::OneOrMany(ty) => format!("{} or list", name_of(ty)),
        Shape::List(item) => format!("list of {}", type_of(*item)),
        Shape::Object(_) => "mapping".to_owned(),
        Shape::OneOrObject(ty, _) => format!("{} or mapping", name_of(ty)),
        Shape::Map(value) => format!("mapping of {}", type_of(*value)),
        Shape::Any => "any".to_owned(),
    }
}

fn name_of(ty: Type) -> String {
    match ty {
        Type::Text | Type::TextOrEmpty => "text".to_owned(),
        Type::Integer { min, max } if max == u64::from(u32::MAX) => format!("number from {min}"),
        Type::Integer { min, max } => format!("{min} to {max}"),
        Type::Bool => "`true`, `false`".to_owned(),
        Type::Time { .. } => "time".to_owned(),
        Type::Size => "size".to_owned(),
        Type::Octal => "octal".to_owned(),
        Type::Id => "id".to_owned(),
        Type::Choice(choices) | Type::Field(choices) => {
            let names = choices
                .iter()
                .map(|choice| if choice.is_empty() { "empty".to_owned() } else { format!("`{choice}`") });
            names.collect::<Vec<_>>().join(", ")
        }
        Type::Ip => "address".to_owned(),
        Type::Network => "address or network".to_owned(),
        Type::Server { .. } => "address, with or without port".to_owned(),
        Type::HostName => "host name".to_owned(),
        Type::Host => "host name or address".to_owned(),
        Type::Path => "path".to_owned(),
        Type::Tag => "text of at most 32 characters".to_owned(),
        Type::Free => "text, number or boolean".to_owned(),
        Type::BoolOrHostName => "`true`, `false`, host name".to_owned(),
        Type::TlsVersions => "list of versions".to_owned(),
        Type::Ciphers => "list of ciphers".to_owned(),
        Type::Match { .. } => "match".to_owned(),
    }
}
