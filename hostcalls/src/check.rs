//! Checks for arbitrary bytes, shared by the fuzz targets (`hostcalls/fuzz`) and the test that replays their corpora.

use std::net::IpAddr;

pub use crate::services::check as services;

/// Bytes as a database of networks: what it says of any address is a text or an error.
pub fn geoip(bytes: &[u8]) {
    let addresses = [IpAddr::from([1, 2, 3, 4]), IpAddr::from([0xff; 4]), IpAddr::from([0x20; 16])];
    if let Ok(database) = crate::plugins::GeoIp::read(bytes.to_vec()) {
        addresses.into_iter().for_each(|address| drop(database.look_up(address)));
    }
}

#[cfg(test)]
mod tests;
