//! What the fuzz target of the decoders checks, shared with the test that replays its corpus. Uses the public interface
//! only.
#![allow(unreachable_pub)] // a module of several programs

use script::native::Options;
use script::std::{csv, domain, inet, json, yaml};
use script::value::Array;

/// Any bytes are refused or read by every decoder, and what JSON can say again is read as the same.
pub fn decode(data: &[u8]) {
    for allow_comments in [false, true] {
        let Ok(value) = json::decode(data, allow_comments) else { continue };
        value.freeze().expect("nesting is within what can be frozen");
        for (ensure_ascii, pretty_print) in [(true, false), (false, true)] {
            let mut text = Vec::new();
            json::encode(&value, json::JsonStyle { ensure_ascii, pretty_print }, &mut text)
                .expect("JSON says what it read");
            let again = json::decode(&text, false).expect("what is written is read");
            assert!(again.loose_eq(&value).expect("small enough to compare"));
        }
    }
    if let Ok(value) = yaml::decode(data) {
        value.freeze().expect("nesting is within what can be frozen");
    }
    let layout = csv::Layout::new(&Options::new("csv_decode", None)).expect("the defaults are fine");
    csv::decode(data, &layout).expect("not that many cells");
    let mut options = Array::new();
    options.set_str("header", false);
    let layout =
        csv::Layout::new(&Options::new("csv_decode", Some(options))).expect("an option of csv_decode");
    csv::decode(data, &layout).expect("not that many cells");
    let (ip, network) = data.split_at(data.len() / 2);
    if let (Some(ip), Some(network)) = (inet::Ip::parse(ip), inet::Network::parse(network)) {
        network.includes(ip);
    }
    domain::includes(ip, network);
}
