//! `smtpd-suspend.yaml`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    VERSION,
    key(
        "suspends",
        Shape::List(&Shape::Object(SUSPEND)),
        "Rules; a message that matches any of them is not picked up. All fields given in a rule must match",
    )
    .default("[]"),
];

const SUSPEND: &[Key] = &[
    key("tenantid", matches(Field::TenantId), "Match on the tenant"),
    key("jobid", matches(Field::JobId), "Match on the job"),
    key("transportid", matches(Field::TransportId), "Match on the transport"),
    key("localip", matches(Field::LocalIp), "Match on the source address"),
    key("grouping", matches(Field::Grouping), "Match on the group of destinations"),
    key("remoteip", matches(Field::RemoteIp), "Match on the remote address"),
    key("remotemx", matches(Field::RemoteMx), "Match on the chosen MX"),
    key("recipientdomain", matches(Field::RecipientDomain), "Match on the recipient's domain"),
    key("tag", Shape::One(Type::Tag), "Label, at most 32 characters"),
    key("properties", Shape::Map(&Shape::One(Type::Free)), "Free data"),
];
