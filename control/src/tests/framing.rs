//! Framing: whole, in pieces, damaged.

use proptest::prelude::*;

use crate::command::TABLE;
use crate::framing::{
    Request, RequestDecoder, RequestError, Response, ResponseDecoder, ResponseError, Status, Version,
    write_request, write_response, write_version,
};
use crate::{Command, limits};

/// All requests of `bytes`, which come in pieces of `piece` bytes, and how it ended.
fn requests(bytes: &[u8], piece: usize) -> (Vec<Request>, Result<(), RequestError>) {
    let mut decoder = RequestDecoder::new();
    let mut found = Vec::new();
    for mut piece in bytes.chunks(piece) {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(request)) => found.push(request),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(&mut piece), Err(error.clone()));
                    return (found, Err(error));
                }
            }
        }
        assert!(piece.is_empty());
    }
    (found, Ok(()))
}

fn responses(bytes: &[u8], piece: usize) -> (Vec<Response>, Result<(), ResponseError>) {
    let mut decoder = ResponseDecoder::new();
    let mut found = Vec::new();
    for mut piece in bytes.chunks(piece) {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(response)) => found.push(response),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(&mut piece), Err(error));
                    return (found, Err(error));
                }
            }
        }
    }
    (found, Ok(()))
}

fn plain(command: Command) -> Request {
    Request { command, body: Vec::new() }
}

#[test]
fn the_version_may_come_once_or_before_each_request() {
    let stats = plain(Command::ProcessStats);
    for wire in [&b"\x05\x07qq"[..], b"\x05\x07q\x05\x07q", b"\x06\x0aq\x05\x03q", b"\x05\x71q\x06\x09q"] {
        assert_eq!(requests(wire, 1), (vec![stats.clone(), stats.clone()], Ok(())), "{wire:?}");
    }
}

#[test]
fn a_request_without_a_version_is_refused() {
    assert_eq!(requests(b"q", 1).1, Err(RequestError::NoVersion(b'q')));
}

#[test]
fn an_unknown_version_is_refused() {
    let version = Version { major: 4, minor: 200 };
    assert_eq!(requests(b"\x04\xc8q", 3), (vec![], Err(RequestError::UnknownVersion(version))));
    assert!(RequestError::UnknownVersion(version).to_string().contains("4.200"));
}

#[test]
fn after_an_unknown_command_nothing_is_read() {
    assert_eq!(requests(b"\x05\x07q?q", 9).0.len(), 1);
    assert_eq!(requests(b"\x05\x07?", 9).1, Err(RequestError::UnknownCommand(b'?')));
    assert_eq!(RequestError::UnknownCommand(b'?').to_string(), "Unknown command '?'");
}

#[test]
fn a_body_that_is_announced_and_does_not_come_costs_little() {
    let mut decoder = RequestDecoder::new();
    let mut wire = b"\x05\x07F".to_vec();
    wire.extend(limits::REQUEST_BYTES.to_le_bytes());
    assert_eq!(decoder.next(&mut wire.as_slice()), Ok(None));
    let mut wire = b"\x05\x07F".to_vec();
    wire.extend((limits::REQUEST_BYTES + 1).to_le_bytes());
    let length = limits::REQUEST_BYTES + 1;
    assert_eq!(RequestDecoder::new().next(&mut wire.as_slice()), Err(RequestError::TooLong { length }));
}

#[test]
fn what_is_no_response_is_named() {
    assert_eq!(responses(b"220 mx ESMTP", 4).1, Err(ResponseError::UnknownStatus(b'2')));
    let wire = [&b"+"[..], &u64::MAX.to_le_bytes()].concat();
    assert_eq!(responses(&wire, 4).1, Err(ResponseError::TooLong { length: u64::MAX }));
}

proptest! {
    #[test]
    fn requests_come_out_as_they_went_in(
        asked in prop::collection::vec((0..TABLE.len(), prop::collection::vec(any::<u8>(), 0..200)), 0..8),
        piece in 1_usize..64,
    ) {
        let asked: Vec<Request> = asked
            .into_iter()
            .map(|(row, body)| {
                let command = TABLE[row].command;
                Request { command, body: if command.has_body() { body } else { Vec::new() } }
            })
            .collect();
        let mut wire = Vec::new();
        write_version(&mut wire);
        for request in &asked {
            write_request(&mut wire, request.command, &request.body);
        }
        prop_assert_eq!(requests(&wire, piece), (asked, Ok(())));
    }

    #[test]
    fn responses_come_out_as_they_went_in(
        given in prop::collection::vec((0..3_usize, prop::collection::vec(any::<u8>(), 0..200)), 0..8),
        piece in 1_usize..64,
    ) {
        let statuses = [Status::Success, Status::Error, Status::Asynchronous];
        let given: Vec<Response> =
            given.into_iter().map(|(status, payload)| Response { status: statuses[status], payload }).collect();
        let mut wire = Vec::new();
        for response in &given {
            write_response(&mut wire, response.status, &response.payload);
        }
        prop_assert_eq!(responses(&wire, piece), (given, Ok(())));
    }

    #[test]
    fn the_cut_into_pieces_does_not_matter(wire in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..20) {
        prop_assert_eq!(requests(&wire, piece), requests(&wire, 300));
        prop_assert_eq!(responses(&wire, piece), responses(&wire, 300));
    }
}
