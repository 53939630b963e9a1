//! The pure part of the standard library: one file per family.

pub mod aes;
pub mod base;
pub mod crypt;
pub mod csv;
pub mod digest;
pub mod domain;
pub mod idna;
pub mod inet;
pub mod json;
pub mod loaders;
pub mod pack;
pub mod random;
pub mod regex;
pub mod system;
pub mod time;
pub mod url;
pub mod uuid;
pub mod yaml;
pub mod zlib;

#[cfg(test)]
pub(crate) mod testing;

use crate::native::{Library, Native};

/// The functions of every family.
static FAMILIES: &[&[Native]] = &[
    aes::NATIVES,
    base::NATIVES,
    crypt::NATIVES,
    csv::NATIVES,
    digest::NATIVES,
    domain::NATIVES,
    idna::NATIVES,
    inet::NATIVES,
    json::NATIVES,
    pack::NATIVES,
    random::NATIVES,
    system::NATIVES,
    time::NATIVES,
    url::NATIVES,
    uuid::NATIVES,
    yaml::NATIVES,
    zlib::NATIVES,
];

/// Adds everything to a library.
pub(crate) fn register(library: &mut Library) {
    for &natives in FAMILIES {
        library.add(natives);
    }
    loaders::register(library);
}
