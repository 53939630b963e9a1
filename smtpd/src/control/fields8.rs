//! The eight fields that suspends and policies go by, and their free data.

use std::collections::BTreeMap;

use config::Property;
use control::smtpd as proto;
use proto::property_value::Value;
use queue::Field;

/// The fields that are given.
pub(super) fn fields(given: Option<&proto::Fields8>) -> Vec<(Field, String)> {
    let Some(given) = given else { return Vec::new() };
    let all = [
        (Field::TenantId, &given.tenantid),
        (Field::JobId, &given.jobid),
        (Field::TransportId, &given.transportid),
        (Field::LocalIp, &given.localip),
        (Field::Grouping, &given.grouping),
        (Field::RemoteIp, &given.remoteip),
        (Field::RemoteMx, &given.remotemx),
        (Field::RecipientDomain, &given.recipientdomain),
    ];
    all.into_iter().filter_map(|(field, value)| Some((field, value.clone()?))).collect()
}

/// Fields as they are shown; several values of one with commas.
pub(super) fn fields8(fields: &[(Field, Vec<String>)]) -> proto::Fields8 {
    let text = |field| fields.iter().find(|(known, _)| *known == field).map(|(_, values)| values.join(","));
    proto::Fields8 {
        tenantid: text(Field::TenantId),
        jobid: text(Field::JobId),
        transportid: text(Field::TransportId),
        localip: text(Field::LocalIp),
        grouping: text(Field::Grouping),
        remoteip: text(Field::RemoteIp),
        remotemx: text(Field::RemoteMx),
        recipientdomain: text(Field::RecipientDomain),
    }
}

/// Free data; what has no value is left out.
pub(super) fn properties<M>(given: M) -> BTreeMap<String, Property>
where
    M: IntoIterator<Item = (String, proto::PropertyValue)>,
{
    let value = |value: proto::PropertyValue| {
        Some(match value.value? {
            Value::String(text) => Property::Text(text),
            Value::Number(number) => Property::Number(number),
            Value::Boolean(bool) => Property::Bool(bool),
        })
    };
    given.into_iter().filter_map(|(key, given)| Some((key, value(given)?))).collect()
}

/// A value of free data.
pub(super) fn value_of(property: &Property) -> proto::PropertyValue {
    let value = match property {
        Property::Text(text) => Value::String(text.clone()),
        Property::Number(number) => Value::Number(*number),
        Property::Bool(bool) => Value::Boolean(*bool),
    };
    proto::PropertyValue { value: Some(value) }
}
