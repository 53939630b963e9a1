//! Digests, message authentication codes and `hash`: hsl-stdlib 9.1.

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::fault::Fault;
use crate::native::{Call, Native, NativeRun};
use crate::value::Value;

/// On one core of a busy machine the slowest, MD5, took 315 µs for twice as much; SHA-256 without the processor's help is
/// slower than that.
const INLINE_BYTES: usize = 24 << 10;

/// The natives of this file.
pub static NATIVES: &[Native] = &[
    native(
        "md5",
        "string data [, array options]",
        "MD5 (RFC 1321), as hex or with `binary` as 16 bytes.",
        1,
        2,
        md5,
    ),
    native(
        "sha1",
        "string data [, array options]",
        "SHA-1, as hex or with `binary` as 20 bytes.",
        1,
        2,
        sha1,
    ),
    native("sha2", "string data, number bits [, array options]", "SHA-256 or SHA-512 by `bits`.", 2, 3, sha2),
    native(
        "hmac_md5",
        "string key, string message [, array options]",
        "HMAC-MD5 (RFC 2104).",
        2,
        3,
        hmac_md5,
    ),
    native("hmac_sha1", "string key, string message [, array options]", "HMAC-SHA-1.", 2, 3, hmac_sha1),
    native(
        "hmac_sha2",
        "string key, string message, number bits [, array options]",
        "HMAC-SHA-256 or HMAC-SHA-512 by `bits`.",
        3,
        4,
        hmac_sha2,
    ),
    native(
        "hash",
        "string data",
        "A number from 0 to 4294967295 that never changes for the same text.",
        1,
        1,
        hash,
    ),
];

const fn native(
    name: &'static str,
    params: &'static str,
    doc: &'static str,
    min_args: u8,
    max_args: u8,
    run: fn(&mut Call<'_>) -> Result<Value, Fault>,
) -> Native {
    Native {
        name,
        params,
        doc,
        min_args,
        max_args: Some(max_args),
        run: NativeRun::Sized { above_bytes: INLINE_BYTES, run },
    }
}

fn md5(call: &mut Call<'_>) -> Result<Value, Fault> {
    digest::<Md5>(call, 1)
}

fn sha1(call: &mut Call<'_>) -> Result<Value, Fault> {
    digest::<Sha1>(call, 1)
}

fn sha2(call: &mut Call<'_>) -> Result<Value, Fault> {
    match call.integer(1)? {
        256 => digest::<Sha256>(call, 2),
        512 => digest::<Sha512>(call, 2),
        bits => Err(Fault::argument("sha2", 1, "256 or 512", &bits.to_string())),
    }
}

fn digest<D: Digest>(call: &mut Call<'_>, options: usize) -> Result<Value, Fault> {
    let binary = call.options(options)?.boolean("binary", false)?;
    Ok(output(&D::digest(call.bytes(0)?), binary))
}

fn hmac_md5(call: &mut Call<'_>) -> Result<Value, Fault> {
    hmac::<Md5>(call, 2)
}

fn hmac_sha1(call: &mut Call<'_>) -> Result<Value, Fault> {
    hmac::<Sha1>(call, 2)
}

fn hmac_sha2(call: &mut Call<'_>) -> Result<Value, Fault> {
    match call.integer(2)? {
        256 => hmac::<Sha256>(call, 3),
        512 => hmac::<Sha512>(call, 3),
        bits => Err(Fault::argument("hmac_sha2", 2, "256 or 512", &bits.to_string())),
    }
}

fn hmac<D: EagerHash>(call: &mut Call<'_>, options: usize) -> Result<Value, Fault> {
    let binary = call.options(options)?.boolean("binary", false)?;
    let mut mac = Hmac::<D>::new_from_slice(call.bytes(0)?).expect("HMAC takes keys of any length");
    mac.update(call.bytes(1)?);
    Ok(output(&mac.finalize().into_bytes(), binary))
}

fn output(bytes: &[u8], binary: bool) -> Value {
    if binary { Value::from(bytes) } else { Value::from(data_encoding::HEXLOWER.encode(bytes)) }
}

fn hash(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(Value::from(f64::from(fnv1a_folded(call.bytes(0)?))))
}

/// FNV-1a of 64 bits, folded to 32 as its authors describe. Scripts store what depends on it, so it must not change.
fn fnv1a_folded(bytes: &[u8]) -> u32 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    (hash >> 32) as u32 ^ hash as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_folded_fnv1a() {
        // The 64-bit values are those of the FNV test suite.
        for (text, fnv) in
            [("", 0xcbf29ce484222325u64), ("a", 0xaf63dc4c8601ec8c), ("foobar", 0x85944171f73967e8)]
        {
            assert_eq!(fnv1a_folded(text.as_bytes()), (fnv >> 32) as u32 ^ fnv as u32);
        }
    }
}
