//! RFC 6376, section 3.4.

use proptest::prelude::*;

use super::*;
use crate::dkim::canonical::BodyCanonicalizer;

fn header(canonicalization: Canonicalization, field: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    canonicalization.header(field, &mut out);
    out
}

fn body_in_pieces<'a>(canonicalization: Canonicalization, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut canonicalizer = BodyCanonicalizer::new(canonicalization);
    let mut sink = |bytes: &[u8]| out.extend_from_slice(bytes);
    pieces.for_each(|piece| canonicalizer.update(piece, &mut sink));
    canonicalizer.finish(&mut sink);
    out
}

fn body(canonicalization: Canonicalization, text: &[u8]) -> Vec<u8> {
    body_in_pieces(canonicalization, std::iter::once(text))
}

use Canonicalization::{Relaxed, Simple};

/// RFC 6376, section 3.4.5.
#[test]
fn the_example_of_the_standard_comes_out_as_there() {
    let (a, b) = (b"A: X\r\n".as_slice(), b"B : Y\t\r\n\tZ  \r\n".as_slice());
    let text = b" C \r\nD \t E\r\n\r\n\r\n";
    assert_eq!(header(Relaxed, a), b"a:X\r\n");
    assert_eq!(header(Relaxed, b), b"b:Y Z\r\n");
    assert_eq!(body(Relaxed, text), b" C\r\nD E\r\n");
    assert_eq!(header(Simple, a), a);
    assert_eq!(header(Simple, b), b);
    assert_eq!(body(Simple, text), b" C \r\nD \t E\r\n");
}

#[test]
fn the_end_of_a_body_is_canonical() {
    let cases: &[(&[u8], &[u8], &[u8])] = &[
        (b"", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" \t\r\n", b" \t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a\r\n\r\n", b"a\r\n", b"a\r\n"),
        (b"a \r\n \r\n\r\n", b"a \r\n \r\n", b"a\r\n"),
        (b"a\n\nb\n", b"a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\rb\r\n", b"a\rb\r\n", b"a\rb\r\n"),
        (b"a\r", b"a\r\r\n", b"a\r\r\n"),
        (b"\r\r\n", b"\r\r\n", b"\r\r\n"),
    ];
    for (text, simple, relaxed) in cases {
        assert_eq!(body(Simple, text), *simple, "simple {text:?}");
        assert_eq!(body(Relaxed, text), *relaxed, "relaxed {text:?}");
    }
}

#[test]
fn fields_without_a_value_or_colon_are_canonical() {
    assert_eq!(header(Relaxed, b"Subject:\r\n"), b"subject:\r\n");
    assert_eq!(header(Relaxed, b"Subject: \r\n \r\n"), b"subject:\r\n");
    assert_eq!(header(Relaxed, b"nonsense \r\n"), b"nonsense\r\n");
    assert_eq!(header(Simple, b"A: x\n y\n"), b"A: x\r\n y\r\n");
}

/// Text in which white space and line ends are frequent.
fn text() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(b"ab \t\r\n\n\0:".to_vec()), 0..60)
}

proptest! {
    #[test]
    fn canonical_text_stays_as_it_is(text in text()) {
        for canonicalization in [Simple, Relaxed] {
            let once = body(canonicalization, &text);
            prop_assert_eq!(body(canonicalization, &once), once);
            let once = header(canonicalization, &text);
            prop_assert_eq!(header(canonicalization, &once), once);
        }
    }

    #[test]
    fn pieces_do_not_matter(text in text(), size in 1usize..5) {
        for canonicalization in [Simple, Relaxed] {
            let pieces = body_in_pieces(canonicalization, text.chunks(size));
            prop_assert_eq!(pieces, body(canonicalization, &text));
        }
    }

    #[test]
    fn a_hash_of_the_first_bytes_counts_canonical_bytes(text in text(), limit in 0u64..40) {
        let canonical = body(Relaxed, &text);
        let mut hasher = BodyHasher::new(Relaxed, Hash::Sha256, Some(limit));
        text.chunks(3).for_each(|piece| hasher.update(piece));
        let hash = hasher.finish();
        prop_assert_eq!(hash.canonical_bytes, canonical.len() as u64);
        let counted = &canonical[..canonical.len().min(limit as usize)];
        prop_assert_eq!(hash.digest, Hash::Sha256.digest(counted));
    }
}
