//! What the fuzz targets check, shared with the test that replays their corpora. Uses the public interface only.
#![allow(dead_code, unreachable_pub)] // a module of several programs; each uses its own part

use control::framing::{
    Request, RequestDecoder, RequestError, Response, ResponseDecoder, ResponseError, write_request,
    write_response, write_version,
};
use control::smtpd::{
    ConfigGreenDeployRequest, PolicyConditionAddRequest, QueueGroupByRequest, QueueListRequest,
    QueueUpdateRequest, SuspendAddRequest, TraceRequest,
};
use control::{Command, Message};

/// Bytes to a server: they may be cut anywhere, what is read can be written again, and no body makes a message panic.
pub fn requests(data: &[u8]) {
    let whole = read_requests(data, data.len().max(1));
    assert_eq!(whole, read_requests(data, 1));
    assert_eq!(whole, read_requests(data, 7));
    let mut wire = Vec::new();
    write_version(&mut wire);
    for request in &whole.0 {
        write_request(&mut wire, request.command, &request.body);
        understood(request);
    }
    assert_eq!(read_requests(&wire, 5), (whole.0, Ok(())));
}

/// Bytes to a client.
pub fn responses(data: &[u8]) {
    let whole = read_responses(data, data.len().max(1));
    assert_eq!(whole, read_responses(data, 1));
    assert_eq!(whole, read_responses(data, 7));
    let mut wire = Vec::new();
    for response in &whole.0 {
        write_response(&mut wire, response.status, &response.payload);
    }
    assert_eq!(read_responses(&wire, 5), (whole.0, Ok(())));
}

fn read_requests(data: &[u8], piece: usize) -> (Vec<Request>, Result<(), RequestError>) {
    let mut decoder = RequestDecoder::new();
    let mut found = Vec::new();
    for mut piece in data.chunks(piece) {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(request)) => found.push(request),
                Ok(None) => break,
                Err(error) => return (found, Err(error)),
            }
        }
    }
    (found, Ok(()))
}

fn read_responses(data: &[u8], piece: usize) -> (Vec<Response>, Result<(), ResponseError>) {
    let mut decoder = ResponseDecoder::new();
    let mut found = Vec::new();
    for mut piece in data.chunks(piece) {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(response)) => found.push(response),
                Ok(None) => break,
                Err(error) => return (found, Err(error)),
            }
        }
    }
    (found, Ok(()))
}

/// What can be decoded can be encoded and decoded again.
fn understood(request: &Request) {
    match request.command {
        Command::QueueList => again::<QueueListRequest>(&request.body),
        Command::QueueGroupBy => again::<QueueGroupByRequest>(&request.body),
        Command::QueueUpdate => again::<QueueUpdateRequest>(&request.body),
        Command::SuspendAdd => again::<SuspendAddRequest>(&request.body),
        Command::PolicyAdd => again::<PolicyConditionAddRequest>(&request.body),
        Command::StageStart => again::<ConfigGreenDeployRequest>(&request.body),
        Command::Trace => again::<TraceRequest>(&request.body),
        _ => {}
    }
}

fn again<M: Message + Default>(body: &[u8]) {
    if let Ok(message) = M::decode(body) {
        let encoded = message.encode_to_vec();
        let read = M::decode(encoded.as_slice()).expect("what was encoded can be decoded");
        // Compared as bytes: a number may be none.
        assert_eq!(read.encode_to_vec(), encoded);
    }
}
