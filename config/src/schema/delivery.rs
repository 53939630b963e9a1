//! `smtpd-delivery.yaml`. There are no delivery settings yet: a file without any is accepted.

use super::*;

pub(super) const KEYS: &[Key] = &[
    VERSION,
    key(
        "delivery",
        Shape::Object(&[
            key("conditions", Shape::List(&Shape::Any), "Settings for what matches")
                .since("5.3")
                .default("[]")
                .not_yet(),
            key("default", Shape::Map(&Shape::Any), "Settings for the rest").since("5.3").not_yet(),
        ]),
        "Delivery settings",
    ),
];
