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

const SUSPEND: &[Key] = &and_fields::<10>(&[
    key("tag", Shape::One(Type::Tag), "Label, at most 32 characters"),
    key("properties", Shape::Map(&Shape::One(Type::Free)), "Free data"),
]);
