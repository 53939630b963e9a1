//! The eight fields that suspends and policies go by, as options and as text.

use std::collections::BTreeMap;

use control::smtpd::property_value::Value as PropertyKind;
use control::smtpd::{Fields8, PropertyValue};

use crate::Failure;
use crate::cli::{Arguments, Group, Value, option};

/// The options.
pub(crate) static FIELDS: Group = Group {
    title: "Fields",
    note: "Values are those of the configuration files: domains also as *.example.com, addresses also as networks, \
/regular expressions/, @lists and &groups.",
    options: &[
        option("transportid", Value::Text("ID"), "Transport"),
        option("localip", Value::Text("ADDRESS"), "Address that mail leaves from"),
        option("remoteip", Value::Text("ADDRESS"), "Address of the next hop"),
        option("remotemx", Value::Text("HOST"), "Host of the next hop"),
        option("recipientdomain", Value::Text("DOMAIN"), "Domain of the recipient"),
        option("jobid", Value::Text("ID"), "Job"),
        option("grouping", Value::Text("GROUP"), "Group of destinations, as &id"),
        option("tenantid", Value::Text("ID"), "Tenant"),
    ],
};

/// What the options say; `None` when none is given.
pub(crate) fn fields(arguments: &Arguments) -> Option<Fields8> {
    let text = |name: &str| arguments.one(name).map(str::to_owned);
    let fields = Fields8 {
        tenantid: text("tenantid"),
        jobid: text("jobid"),
        transportid: text("transportid"),
        localip: text("localip"),
        grouping: text("grouping"),
        remoteip: text("remoteip"),
        remotemx: text("remotemx"),
        recipientdomain: text("recipientdomain"),
    };
    Some(fields).filter(|fields| *fields != Fields8::default())
}

/// The fields as text: `recipientdomain=example.com localip=192.0.2.1`.
pub(crate) fn shown(fields: &Fields8) -> String {
    let Fields8 { tenantid, jobid, transportid, localip, grouping, remoteip, remotemx, recipientdomain } =
        fields;
    let pairs = [
        ("transportid", transportid),
        ("localip", localip),
        ("remoteip", remoteip),
        ("remotemx", remotemx),
        ("recipientdomain", recipientdomain),
        ("jobid", jobid),
        ("grouping", grouping),
        ("tenantid", tenantid),
    ];
    let shown: Vec<String> = pairs
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}")))
        .collect();
    if shown.is_empty() { "everything".to_owned() } else { shown.join(" ") }
}

/// `--property K=V`: `true` and `false` are booleans, numbers are numbers, the rest is text.
pub(crate) fn properties(arguments: &Arguments) -> Result<BTreeMap<String, PropertyValue>, Failure> {
    let mut properties = BTreeMap::new();
    for pair in arguments.all("property") {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::Usage(format!("--property: \"{}\" is not KEY=VALUE", pair.escape_debug())));
        };
        let kind = match (value, value.parse::<f64>()) {
            ("true", _) => PropertyKind::Boolean(true),
            ("false", _) => PropertyKind::Boolean(false),
            (_, Ok(number)) if number.is_finite() => PropertyKind::Number(number),
            _ => PropertyKind::String(value.to_owned()),
        };
        properties.insert(key.to_owned(), PropertyValue { value: Some(kind) });
    }
    Ok(properties)
}

/// Properties as text: `ticket=4711`.
pub(crate) fn shown_properties(properties: &BTreeMap<String, PropertyValue>) -> String {
    let text = |value: &PropertyValue| match &value.value {
        Some(PropertyKind::String(text)) => text.clone(),
        Some(PropertyKind::Number(number)) => number.to_string(),
        Some(PropertyKind::Boolean(boolean)) => boolean.to_string(),
        None => String::new(),
    };
    let pairs: Vec<String> = properties.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    pairs.join(" ")
}

/// A time that is left, or nothing where there is no end.
pub(crate) fn shown_ttl(ttl: Option<f64>) -> String {
    ttl.map(|ttl| format!("{:.0}", ttl.max(0.0).ceil())).unwrap_or_default()
}

/// A time that must be a number of seconds from 0.
pub(crate) fn seconds(arguments: &Arguments, name: &str) -> Result<Option<f64>, Failure> {
    let seconds: Option<f64> = arguments.number(name)?;
    match seconds {
        Some(seconds) if !(seconds.is_finite() && seconds >= 0.0) => {
            Err(Failure::Usage(format!("--{name}: a time in seconds, from 0")))
        }
        seconds => Ok(seconds),
    }
}
