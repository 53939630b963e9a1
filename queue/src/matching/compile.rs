//! From the values in a file to matchers.

use ipnet::IpNet;
use regex::RegexBuilder;

use crate::limits;
use crate::matching::matcher::Matcher;
use crate::matching::{Field, List};

/// What is wrong with a value of a rule.
pub(crate) struct Fault {
    pub(crate) field: Field,
    pub(crate) value: String,
    pub(crate) problem: String,
}

/// Compiles the rules of one set, within its limits.
pub(crate) struct Compiler<'a> {
    lists: &'a [List],
    values: usize,
    regexes: usize,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(lists: &'a [List]) -> Compiler<'a> {
        Compiler { lists, values: 0, regexes: 0 }
    }

    /// The matchers of one rule.
    pub(crate) fn fields(&mut self, rule: &[(Field, Vec<String>)]) -> Result<Vec<(Field, Matcher)>, Fault> {
        let mut fields = Vec::with_capacity(rule.len());
        for (field, values) in rule {
            let mut matcher = Matcher::default();
            for value in values {
                self.value_or_list(*field, value, &mut matcher).map_err(|problem| Fault {
                    field: *field,
                    value: value.clone(),
                    problem,
                })?;
            }
            fields.push((*field, matcher));
        }
        Ok(fields)
    }

    fn value_or_list(&mut self, field: Field, value: &str, into: &mut Matcher) -> Result<(), String> {
        let Some(name) = value.strip_prefix('@') else { return self.value(field, value, into) };
        let list = self.lists.iter().find(|list| list.field == field && list.name == name);
        let list = list.ok_or_else(|| format!("there is no list lists.{}.{name}", field.name()))?;
        for value in &list.values {
            if value.starts_with('@') {
                return Err(format!("the list has '{value}', and a list cannot refer to a list"));
            }
            self.value(field, value, into).map_err(|problem| format!("'{value}' in the list: {problem}"))?;
        }
        Ok(())
    }

    fn value(&mut self, field: Field, value: &str, into: &mut Matcher) -> Result<(), String> {
        self.values += 1;
        if self.values > limits::SUSPEND_VALUES {
            return Err(format!("more than {} values in all rules", limits::SUSPEND_VALUES));
        }
        if field.is_ip() {
            into.networks.push(network(value)?);
        } else if let Some(expression) = value.strip_prefix('/') {
            self.regexes += 1;
            if self.regexes > limits::SUSPEND_REGEXES {
                return Err(format!("more than {} expressions in all rules", limits::SUSPEND_REGEXES));
            }
            into.regexes.push(regex(field, expression)?);
        } else if field.is_domain() {
            domain(field, value, into)?;
        } else {
            into.exact.insert(value.into());
        }
        Ok(())
    }
}

fn network(value: &str) -> Result<IpNet, String> {
    let network = match value.parse::<std::net::IpAddr>() {
        Ok(ip) => Ok(IpNet::from(ip.to_canonical())),
        Err(_) => value.parse::<IpNet>(),
    };
    network.map_err(|_| "expected an IPv4 or IPv6 address or network such as 192.0.2.0/24".into())
}

fn regex(field: Field, expression: &str) -> Result<regex::Regex, String> {
    let (pattern, ignore_case) = if let Some(pattern) = expression.strip_suffix("/i") {
        (pattern, true)
    } else if let Some(pattern) = expression.strip_suffix('/') {
        (pattern, field.is_domain())
    } else {
        return Err("an expression ends with '/' or '/i'".into());
    };
    if pattern.is_empty() {
        return Err("the expression is empty, which would match everything".into());
    }
    let built = RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .size_limit(limits::REGEX_BYTES)
        .dfa_size_limit(limits::REGEX_BYTES)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the expression is too large".into(),
        error => {
            let text = error.to_string();
            if text.contains("look-around") || text.contains("backreference") {
                "look-around and back-references are not supported here; list the values, or use several rules"
                    .into()
            } else {
                text
            }
        }
    })
}

fn domain(field: Field, value: &str, into: &mut Matcher) -> Result<(), String> {
    // A configured group, by its id: not a domain.
    if field == Field::Grouping && value.starts_with('&') {
        into.exact.insert(value.into());
        return Ok(());
    }
    if !value.is_ascii() {
        return Err("write the domain in its ASCII form (xn--...)".into());
    }
    let lower = value.strip_suffix('.').unwrap_or(value).to_ascii_lowercase();
    match lower.strip_prefix("*.") {
        Some(parent) if !parent.contains('*') => into.below.insert(parent.into()),
        None if !lower.contains('*') => into.exact.insert(lower.into()),
        _ => return Err("'*' stands only at the start, as in *.example.com".into()),
    };
    Ok(())
}
