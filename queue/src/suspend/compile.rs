//! From the values in the file to matchers.

use ipnet::IpNet;
use regex::RegexBuilder;

use crate::limits;
use crate::suspend::matcher::Matcher;
use crate::suspend::{Field, List, Rule, RuleError, Suspends};

impl Suspends {
    /// Compiles rules. Empty `rules` give a set that matches nothing.
    pub fn compile(rules: &[Rule], lists: &[List]) -> Result<Suspends, RuleError> {
        let mut compiler = Compiler { lists, values: 0, regexes: 0 };
        let mut set = Suspends::default();
        if rules.len() > limits::SUSPEND_RULES {
            let problem = format!("more than {} rules; use @lists", limits::SUSPEND_RULES);
            let rule = limits::SUSPEND_RULES;
            return Err(RuleError { rule, field: None, value: rules.len().to_string(), problem });
        }
        for (number, rule) in rules.iter().enumerate() {
            let compiled = compiler.rule(rule).map_err(|Fault { field, value, problem }| RuleError {
                rule: number,
                field: Some(field),
                value,
                problem,
            })?;
            set.add(compiled);
        }
        Ok(set)
    }

    fn add(&mut self, rule: Vec<(Field, Matcher)>) {
        let number = self.rules.len() as u32;
        self.looks_at_the_way |= rule.iter().any(|(field, _)| field.is_of_the_way());
        match rule.iter().find(|(_, matcher)| matcher.is_indexable()) {
            Some((field, matcher)) => {
                let by_value = &mut self.by_value[*field as usize];
                for value in &matcher.exact {
                    by_value.exact.entry(value.clone()).or_default().push(number);
                }
                for value in &matcher.below {
                    by_value.below.entry(value.clone()).or_default().push(number);
                }
            }
            None => self.scan.push(number),
        }
        self.rules.push(rule);
    }
}

/// What is wrong with a value of a rule.
struct Fault {
    field: Field,
    value: String,
    problem: String,
}

struct Compiler<'a> {
    lists: &'a [List],
    values: usize,
    regexes: usize,
}

impl Compiler<'_> {
    fn rule(&mut self, rule: &Rule) -> Result<Vec<(Field, Matcher)>, Fault> {
        let mut fields = Vec::with_capacity(rule.fields.len());
        for (field, values) in &rule.fields {
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
