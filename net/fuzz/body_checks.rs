//! What the fuzz target of message bodies checks, shared with the test that replays its corpus. Uses the public interface only.
#![allow(dead_code, unreachable_pub)] // a module of several programs

use bytes::Bytes;
use net::smtp::client::{DotStuffer, LineEnds, Unclean};
use net::smtp::server::{BareEol, Config, Extensions};

use super::checks::{Served, serve, server_config};

/// Two bytes that say how it is cut, then a message: what a client sends of it is what the server takes, behind DATA and in
/// chunks (BDAT), however both are cut; and both ends have the same opinion of its line ends.
pub fn body(data: &[u8]) {
    let (&chunk, rest) = data.split_first().unwrap_or((&1, b""));
    let (&piece, message) = rest.split_first().unwrap_or((&1, b""));
    let (chunk, piece) = (usize::from(chunk).max(1), usize::from(piece).max(1));
    let clean = is_clean(message);
    assert_eq!(line_ends(message, chunk).is_ok(), clean);
    match stuffed(message, chunk, DotStuffer::new()) {
        Ok(wire) => {
            assert!(clean);
            let expected = if message.is_empty() || message.ends_with(b"\r\n") {
                message.to_vec()
            } else {
                [message, b"\r\n"].concat()
            };
            taken(&behind_data(&wire), piece, BareEol::Reject, Some(&expected));
            taken(&in_chunks(message, chunk), piece, BareEol::Reject, Some(message));
        }
        Err(Unclean) => {
            assert!(!clean);
            // A peer that sends it all the same: the server refuses it, or makes whole line ends of the bare ones, once.
            let wire = stuffed(message, chunk, DotStuffer::passing_bare_eol()).expect("it takes them");
            for wire in [behind_data(&wire), in_chunks(message, chunk)] {
                taken(&wire, piece, BareEol::Reject, None);
                let converted = taken(&wire, piece, BareEol::Convert, None);
                assert_eq!(converted.messages.len(), 1);
                assert!(is_clean(&converted.messages[0].body));
                let visible = |bytes: &[u8]| -> Vec<u8> {
                    bytes.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect()
                };
                assert_eq!(visible(&converted.messages[0].body), visible(message));
            }
        }
    }
}

fn is_clean(message: &[u8]) -> bool {
    let mut before = 0;
    let bare = message.iter().any(|&byte| {
        let bare = (byte == b'\n') != (before == b'\r');
        before = byte;
        bare
    });
    !bare && before != b'\r'
}

fn line_ends(message: &[u8], chunk: usize) -> Result<(), Unclean> {
    let mut ends = LineEnds::new();
    message.chunks(chunk).try_for_each(|chunk| ends.push(chunk))?;
    ends.finish()
}

fn stuffed(message: &[u8], chunk: usize, mut stuffer: DotStuffer) -> Result<Vec<u8>, Unclean> {
    let mut out = Vec::new();
    for chunk in message.chunks(chunk) {
        stuffer.push(Bytes::copy_from_slice(chunk), &mut out)?;
    }
    stuffer.finish(&mut out)?;
    Ok(out.concat())
}

const ENVELOPE: &[u8] = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

fn behind_data(wire: &[u8]) -> Vec<u8> {
    [ENVELOPE, b"DATA\r\n", wire, b"QUIT\r\n"].concat()
}

fn in_chunks(message: &[u8], chunk: usize) -> Vec<u8> {
    let mut wire = ENVELOPE.to_vec();
    for chunk in message.chunks(chunk) {
        wire.extend_from_slice(format!("BDAT {}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
    }
    wire.extend_from_slice(b"BDAT 0 LAST\r\nQUIT\r\n");
    wire
}

/// What the server takes of this. With an expected message, exactly that one; in any case the same for all cuts.
fn taken(wire: &[u8], piece: usize, bare_eol: BareEol, expected: Option<&[u8]>) -> Served {
    let config =
        Config { extensions: Extensions { starttls: false, ..Extensions::ALL }, ..server_config(bare_eol) };
    let whole = serve(&config, &[], &[wire]);
    let pieces: Vec<&[u8]> = wire.chunks(piece).collect();
    assert_eq!(serve(&config, &[], &pieces), whole);
    assert!(whole.close.is_some(), "QUIT is read as a command");
    if bare_eol == BareEol::Reject {
        let bodies: Vec<&[u8]> = whole.messages.iter().map(|message| &message.body[..]).collect();
        assert_eq!(bodies, expected.into_iter().collect::<Vec<_>>());
    }
    whole
}
