//! `smtpd-policy.yaml`. There are no policies yet: a file without any is accepted.

use super::*;

pub(super) const KEYS: &[Key] = &[
    VERSION,
    key(
        "rate",
        Shape::Object(&[
            key("algorithm", choice(&["fixedwindow", "tokenbucket"]), "How rates are counted").since("6.2")
        ]),
        "Rates",
    )
    .no_effect("there are no policies yet"),
    key("policies", Shape::List(&Shape::Any), "Each entry is one set of counters")
        .since("5.2")
        .default("[]")
        .not_yet(),
];
