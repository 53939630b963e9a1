//! Between parsing and checking: keys are unique strings, `!Env` is replaced, other tags are refused.

use std::collections::HashSet;

use crate::report::{Path, Problem, Report};
use crate::yaml::{Node, Scalar, Style, Value};
use crate::{Env, Options};

/// Prepares `node` and all below it.
pub(crate) fn prepare(node: &mut Node, path: &mut Path, options: &Options<'_>, report: &mut Report) {
    match &mut node.value {
        Value::Scalar(scalar) => {
            if let Err(problem) = substitute(scalar, options) {
                report.error(node.at, path.as_str(), problem);
                scalar.style = Style::Refused;
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.with_index(index, |path| prepare(item, path, options, report));
            }
        }
        Value::Map(entries) => {
            prepare_keys(entries, path, report);
            for (key, value) in entries {
                path.with_key(key_text(key), |path| prepare(value, path, options, report));
            }
        }
    }
}

/// The text of a key that [`prepare`] has let through.
pub(crate) fn key_text(key: &Node) -> &str {
    match &key.value {
        Value::Scalar(scalar) => &scalar.text,
        _ => "",
    }
}

/// Drops keys that are not scalars, and all but the first of keys that repeat.
fn prepare_keys(entries: &mut Vec<(Node, Node)>, path: &mut Path, report: &mut Report) {
    let mut seen = HashSet::new();
    entries.retain(|(key, _)| match &key.value {
        Value::Scalar(Scalar { style: Style::Env | Style::Tagged(_), .. }) => {
            report.error(key.at, path.as_str(), Problem::new("a key has no tag"));
            false
        }
        Value::Scalar(scalar) => {
            let first = seen.insert(scalar.text.clone());
            if !first {
                path.with_key(&scalar.text, |path| {
                    report.error(key.at, path.as_str(), Problem::new("duplicate key"));
                });
            }
            first
        }
        _ => {
            report.error(key.at, path.as_str(), Problem::new("a key is a string, not a mapping or list"));
            false
        }
    });
}

fn substitute(scalar: &mut Scalar, options: &Options<'_>) -> Result<(), Problem> {
    match &scalar.style {
        Style::Env => {
            let Some(env) = options.env else {
                return Err(Problem::new("!Env is not enabled")
                    .hint("start with --config-env-substitution, or write the value itself"));
            };
            scalar.text = expand(&scalar.text, env)?;
            scalar.style = Style::Substituted;
            Ok(())
        }
        Style::Tagged(tag) => {
            Err(Problem::new(format!("unknown tag {tag}")).hint("only !Env has a meaning here"))
        }
        _ => Ok(()),
    }
}

/// Replaces every `${NAME}` and `${NAME:DEFAULT}`; what is put in is not looked at again.
fn expand(text: &str, env: &Env<'_>) -> Result<String, Problem> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let inside = &rest[start + 2..];
        let end = inside.find('}').ok_or_else(|| Problem::new("${ without its }"))?;
        result.push_str(&rest[..start]);
        let (name, default) = match inside[..end].split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        match env(name).or_else(|| default.map(str::to_owned)) {
            Some(value) => result.push_str(&value),
            None => {
                return Err(Problem::new(format!("environment variable {name} is not set"))
                    .hint(format!("set it, or write a default: ${{{name}:default}}")));
            }
        }
        rest = &inside[end + 1..];
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reference_is_replaced_once() {
        let env = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "B" => Some("${A}".to_owned()),
            _ => None,
        };
        for (text, expected) in [
            ("${A}", "1"),
            ("x${A}y${A}z", "x1y1z"),
            ("${C:two}", "two"),
            ("${C:}", ""),
            ("${A:two}", "1"),
            ("${B}", "${A}"),
            ("$A {A}", "$A {A}"),
            ("${C:a:b}", "a:b"),
        ] {
            assert_eq!(
                expand(text, &env).map_err(|problem| problem.text().to_owned()),
                Ok(expected.to_owned())
            );
        }
        assert!(expand("${C}", &env).is_err());
        assert!(expand("${A", &env).is_err());
    }
}
