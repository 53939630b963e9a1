//! Takes message bytes off the wire: finds the end, removes transparent dots, checks line ends. In chunks (RFC 3030)
//! there are no dots and no end to find: only line ends are checked.
//!
//! Only CRLF.CRLF ends a message (RFC 5321 4.1.1.4). A bare CR or LF is never taken for a line end by the search
//! for the end or for transparent dots, not even where it is converted.
//!
//! NUL and every other byte pass as they are: RFC 5321 4.5.2 asks for all characters to be passed on, and a
//! relay that changes bytes breaks signatures.

use memchr::{memchr2, memrchr};

use super::BareEol;
use crate::limits::TEXT_LINE_BYTES_MAX;
use crate::smtp::error::{Error, LocalLimit, PeerMisbehaved};
use crate::smtp::scan::{BLOCK_BYTES, Block};

/// Decodes one message from slices cut anywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder {
    position: Position,
    bare_eol: BareEol,
    /// Lines begin with transparent dots, and one with nothing but a dot is the end.
    dots: bool,
    eight_bit: bool,
    /// Bytes of the current line so far.
    line_bytes: u64,
}

/// Where in a line the next byte is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Position {
    /// Behind a CRLF, or at the start of the message.
    LineStart,
    /// Anywhere else.
    Middle,
    /// Behind a CR that has not been passed on.
    Cr,
    /// Behind a dot at the start of a line. It is never passed on.
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
}

/// What came of a slice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Decoded<'i> {
    /// The slice is used up.
    NeedInput,
    /// Bytes of the message.
    Bytes(&'i [u8]),
    /// The message breaks a rule. Decoding can go on, to find its end.
    Bad(Error),
    /// The end, after CRLF.CRLF.
    End,
}

impl Decoder {
    pub(super) fn new(bare_eol: BareEol) -> Decoder {
        Decoder { position: Position::LineStart, bare_eol, dots: true, eight_bit: false, line_bytes: 0 }
    }

    /// Of a message that comes in chunks. Its end is told by [`finish`](Self::finish).
    pub(super) fn raw(bare_eol: BareEol) -> Decoder {
        Decoder { dots: false, ..Decoder::new(bare_eol) }
    }

    /// Whether any byte of the message so far was above 127.
    pub(super) fn eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// The last chunk is over: a CR that waited for its LF waits no more.
    pub(super) fn finish(&mut self) -> Option<Decoded<'static>> {
        (self.position == Position::Cr).then(|| self.bare(PeerMisbehaved::BareCarriageReturn))
    }

    /// Takes bytes from `input` up to the first thing to report.
    pub(super) fn next<'i>(&mut self, input: &mut &'i [u8]) -> Decoded<'i> {
        loop {
            let Some((&byte, rest)) = input.split_first() else { return Decoded::NeedInput };
            match (self.position, byte) {
                (Position::LineStart | Position::Middle, _) => {
                    if let Some(decoded) = self.run(input) {
                        return decoded;
                    }
                }
                (Position::Cr, b'\n') => {
                    *input = rest;
                    self.begin_line();
                    return Decoded::Bytes(b"\r\n");
                }
                (Position::Dot, b'\r') => {
                    *input = rest;
                    self.position = Position::DotCr;
                }
                (Position::Dot, _) => self.position = Position::Middle,
                (Position::DotCr, b'\n') => {
                    *input = rest;
                    return Decoded::End;
                }
                (Position::Cr | Position::DotCr, _) => return self.bare(PeerMisbehaved::BareCarriageReturn),
            }
        }
    }

    /// Passes on as long a slice as possible. `None` when what there was to take is not passed on.
    fn run<'i>(&mut self, input: &mut &'i [u8]) -> Option<Decoded<'i>> {
        let bytes = *input;
        let clean = self.clean_blocks(bytes);
        let mut at = clean;
        // Bytes to pass on, and bytes to take.
        let (passed, taken) = loop {
            if self.dots && self.position == Position::LineStart && bytes.get(at) == Some(&b'.') {
                self.position = Position::Dot;
                break (at, at + 1);
            }
            let eol = memchr2(b'\r', b'\n', &bytes[at..]);
            let text = eol.unwrap_or(bytes.len() - at);
            let allowed = (TEXT_LINE_BYTES_MAX - self.line_bytes).min(text as u64) as usize;
            if allowed > 0 {
                self.position = Position::Middle;
                self.line_bytes += allowed as u64;
                at += allowed;
            }
            if allowed < text {
                if at > 0 {
                    break (at, at);
                }
                self.line_bytes = 0;
                return Some(Decoded::Bad(LocalLimit::TextLineTooLong.into()));
            }
            match (eol.map(|_| bytes[at]), bytes.get(at + 1)) {
                (None, _) => break (at, at),
                (Some(b'\r'), Some(b'\n')) => {
                    at += 2;
                    self.begin_line();
                }
                (Some(b'\r'), None) => {
                    self.position = Position::Cr;
                    break (at, at + 1);
                }
                _ if at > 0 => break (at, at),
                (Some(byte), _) => {
                    *input = &bytes[1..];
                    let is_cr = byte == b'\r';
                    return Some(self.bare(match is_cr {
                        true => PeerMisbehaved::BareCarriageReturn,
                        false => PeerMisbehaved::BareLineFeed,
                    }));
                }
            }
        };
        self.eight_bit |= !bytes[clean..passed].is_ascii();
        *input = &bytes[taken..];
        (passed > 0).then_some(Decoded::Bytes(&bytes[..passed]))
    }

    /// Length of the blocks at the start of `bytes` that can pass without a closer look. Does not end behind a CR.
    fn clean_blocks(&mut self, bytes: &[u8]) -> usize {
        let mut before = if self.position == Position::LineStart { b'\n' } else { 0 };
        let mut at = 0;
        // Start of the last block with an LF in it: where exactly is only looked up in the end.
        let mut lf_block = None;
        while let Some(block) = bytes[at..].first_chunk::<BLOCK_BYTES>() {
            let seen = Block::look(before, block);
            let line_bytes_at_most =
                lf_block.map_or(self.line_bytes + at as u64, |start| (at - start) as u64);
            let too_long = line_bytes_at_most + BLOCK_BYTES as u64 > TEXT_LINE_BYTES_MAX;
            if seen.bare_eol || (seen.dot && self.dots) || too_long {
                break;
            }
            self.eight_bit |= seen.eight_bit;
            if seen.lf {
                lf_block = Some(at);
            }
            before = block[BLOCK_BYTES - 1];
            at += BLOCK_BYTES;
        }
        if before == b'\r' {
            at -= 1;
            before = bytes[at - 1];
        }
        if at > 0 {
            let lf = lf_block.and_then(|start| memrchr(b'\n', &bytes[start..at]).map(|lf| start + lf));
            self.line_bytes = lf.map_or(self.line_bytes + at as u64, |lf| (at - lf - 1) as u64);
            self.position = if before == b'\n' { Position::LineStart } else { Position::Middle };
        }
        at
    }

    fn begin_line(&mut self) {
        self.position = Position::LineStart;
        self.line_bytes = 0;
    }

    /// A CR or LF that is not part of a CRLF has been taken.
    fn bare(&mut self, fault: PeerMisbehaved) -> Decoded<'static> {
        self.position = Position::Middle;
        match self.bare_eol {
            BareEol::Convert => {
                self.line_bytes = 0;
                Decoded::Bytes(b"\r\n")
            }
            BareEol::Reject => Decoded::Bad(fault.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything decoded from `pieces`, the first fault, and whether the end came, with what follows it.
    fn decode(bare_eol: BareEol, pieces: &[&[u8]]) -> (Vec<u8>, Option<Error>, Option<Vec<u8>>, bool) {
        let mut decoder = Decoder::new(bare_eol);
        let (mut body, mut fault) = (Vec::new(), None);
        for (index, piece) in pieces.iter().enumerate() {
            let mut input = *piece;
            loop {
                match decoder.next(&mut input) {
                    Decoded::NeedInput => break,
                    Decoded::Bytes(bytes) if fault.is_none() => body.extend_from_slice(bytes),
                    Decoded::Bytes(_) => {}
                    Decoded::Bad(error) => fault = fault.or(Some(error)),
                    Decoded::End => {
                        let rest = [&[input], &pieces[index + 1..]].concat().concat();
                        return (body, fault, Some(rest), decoder.eight_bit());
                    }
                }
            }
        }
        (body, fault, None, decoder.eight_bit())
    }

    const CR: Error = Error::PeerMisbehaved(PeerMisbehaved::BareCarriageReturn);
    const LF: Error = Error::PeerMisbehaved(PeerMisbehaved::BareLineFeed);

    #[test]
    fn messages_are_decoded_whole_and_cut_anywhere() {
        // Wire, body when rejecting or the fault, body when converting, what follows the end.
        type Case = (&'static [u8], Result<&'static [u8], Error>, &'static [u8], Option<&'static [u8]>);
        let cases: &[Case] = &[
            (b".\r\n", Ok(b""), b"", Some(b"")),
            (b"a\r\n.\r\nQUIT\r\n", Ok(b"a\r\n"), b"a\r\n", Some(b"QUIT\r\n")),
            (b"..\r\n...\r\n.a\r\n.\r\n", Ok(b".\r\n..\r\na\r\n"), b".\r\n..\r\na\r\n", Some(b"")),
            (b"\r\n\r\n.\r\n.\r\n", Ok(b"\r\n\r\n"), b"\r\n\r\n", Some(b".\r\n")),
            (b"a\0b\xff\r\n.\r\n", Ok(b"a\0b\xff\r\n"), b"a\0b\xff\r\n", Some(b"")),
            (b"a.\r\n.\r\n", Ok(b"a.\r\n"), b"a.\r\n", Some(b"")),
            // What other servers have taken for the end.
            (b"a\n.\nb\r\n.\r\n", Err(LF), b"a\r\n.\r\nb\r\n", Some(b"")),
            (b"a\n.\r\nb\r\n.\r\n", Err(LF), b"a\r\n.\r\nb\r\n", Some(b"")),
            (b"a\r\n.\nb\r\n.\r\n", Err(LF), b"a\r\n\r\nb\r\n", Some(b"")),
            (b"a\r.\rb\r\n.\r\n", Err(CR), b"a\r\n.\r\nb\r\n", Some(b"")),
            (b"a\r\n.\rb\r\n.\r\n", Err(CR), b"a\r\n\r\nb\r\n", Some(b"")),
            (b"a\r.\r\nb\r\n.\r\n", Err(CR), b"a\r\n.\r\nb\r\n", Some(b"")),
            (b"a\n\n.\r\nb\r\n.\r\n", Err(LF), b"a\r\n\r\n.\r\nb\r\n", Some(b"")),
            (b"a\r\r\n.\r\r\nb\r\n.\r\n", Err(CR), b"a\r\n\r\n\r\n\r\nb\r\n", Some(b"")),
            (b"a\r\n.\r\r\nb\r\n.\r\n", Err(CR), b"a\r\n\r\n\r\nb\r\n", Some(b"")),
            (b"a\r\n\0.\r\nb\r\n.\r\n", Ok(b"a\r\n\0.\r\nb\r\n"), b"a\r\n\0.\r\nb\r\n", Some(b"")),
            (b"a\r\n.\0\r\nb\r\n.\r\n", Ok(b"a\r\n\0\r\nb\r\n"), b"a\r\n\0\r\nb\r\n", Some(b"")),
            (b"a\r\0\n.\r\0\nb\r\n.\r\n", Err(CR), b"a\r\n\0\r\n.\r\n\0\r\nb\r\n", Some(b"")),
            (b"a\x85.\x85b\r\n.\r\n", Ok(b"a\x85.\x85b\r\n"), b"a\x85.\x85b\r\n", Some(b"")),
            // No end at all.
            (b"a\r\n.\r", Ok(b"a\r\n"), b"a\r\n", None),
            (b"a\r\n.", Ok(b"a\r\n"), b"a\r\n", None),
            (b"a\r\n", Ok(b"a\r\n"), b"a\r\n", None),
        ];
        for (wire, rejecting, converting, rest) in cases {
            for cut in 0..=wire.len() {
                let shown = format!("{} cut at {cut}", wire.escape_ascii());
                let pieces = [&wire[..cut], &wire[cut..]];
                let (body, fault, after, _) = decode(BareEol::Reject, &pieces);
                match rejecting {
                    Ok(expected) => assert_eq!((&body[..], fault), (*expected, None), "{shown}"),
                    Err(expected) => assert_eq!(fault, Some(*expected), "{shown}"),
                }
                assert_eq!(after.as_deref(), *rest, "{shown}");
                let (body, fault, after, _) = decode(BareEol::Convert, &pieces);
                assert_eq!((&body[..], fault, after.as_deref()), (*converting, None, *rest), "{shown}");
            }
        }
    }

    #[test]
    fn a_line_of_998_octets_passes_and_so_does_a_much_longer_one() {
        let limit = TEXT_LINE_BYTES_MAX as usize;
        for (bytes, fits) in [(998, true), (100_000, true), (limit, true), (limit + 1, false)] {
            for cut in [0, 1, 500, bytes - 1, bytes, bytes + 1] {
                let wire = [b"short\r\n", &vec![b'x'; bytes][..], b"\r\n.\r\n"].concat();
                let (body, fault, rest, _) = decode(BareEol::Reject, &[&wire[..7 + cut], &wire[7 + cut..]]);
                assert_eq!(rest, Some(Vec::new()));
                let expected = (!fits).then_some(LocalLimit::TextLineTooLong.into());
                assert_eq!(fault, expected, "{bytes} cut at {cut}");
                let passed = if fits { &wire[..wire.len() - 3] } else { &wire[..7 + limit] };
                assert!(body == passed, "{bytes} cut at {cut}");
            }
        }
    }

    /// RFC 5321 4.5.2, in plain code: the body, or nothing when it has a bare CR or LF, and what follows the end.
    fn decode_plainly(wire: &[u8]) -> Option<(Option<Vec<u8>>, &[u8])> {
        let mut framed = b"\r\n".to_vec();
        framed.extend_from_slice(wire);
        let end = framed.windows(5).position(|window| window == b"\r\n.\r\n")?;
        let text = &framed[..end + 2];
        let bare = (0..text.len()).any(|at| match text[at] {
            b'\r' => text.get(at + 1) != Some(&b'\n'),
            b'\n' => at == 0 || text[at - 1] != b'\r',
            _ => false,
        });
        let mut body = Vec::new();
        for at in 2..text.len() {
            if !(text[at] == b'.' && text[..at].ends_with(b"\r\n")) {
                body.push(text[at]);
            }
        }
        Some(((!bare).then_some(body), &wire[end + 3..]))
    }

    proptest! {
        #[test]
        fn decoding_agrees_with_the_rule_in_plain_code(
            words in prop::collection::vec(
                prop::sample::select(vec!["\r\n", "\r\n", ".", "\r", "\n", "x", "\u{0}", "\r\n.\r\n",
                    "a line that is long enough to fill a block or two when it comes several times in a row ....."]),
                0..40),
            cuts in prop::collection::vec(0usize..2000, 0..6),
        ) {
            let wire = words.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
            cuts.sort_unstable();
            cuts.insert(0, 0);
            cuts.push(wire.len());
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
            let (body, fault, rest, _) = decode(BareEol::Reject, &pieces);
            let (converted, _, rest_converted, _) = decode(BareEol::Convert, &pieces);
            match decode_plainly(&wire) {
                None => prop_assert_eq!(rest, None),
                Some((expected, expected_rest)) => {
                    prop_assert_eq!(rest.as_deref(), Some(expected_rest));
                    prop_assert_eq!(rest_converted.as_deref(), Some(expected_rest));
                    prop_assert_eq!(fault.is_none(), expected.is_some());
                    if let Some(expected) = expected {
                        prop_assert_eq!(&body, &expected);
                        prop_assert_eq!(&converted, &expected);
                    }
                }
            }
            for at in 0..converted.len() {
                let clean = match converted[at] {
                    b'\r' => converted.get(at + 1) == Some(&b'\n'),
                    b'\n' => at > 0 && converted[at - 1] == b'\r',
                    _ => true,
                };
                prop_assert!(clean, "converted bodies hold CRLF only");
            }
        }
    }
}
