//! The eight fields that suspends and policies go by, and times to live.

use std::time::Duration;

use control::smtpd as proto;
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

/// A time to live in seconds.
///
/// # Errors
/// It is negative, or none.
pub(super) fn ttl(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("ttl: {seconds} is not a time in seconds"))
}
