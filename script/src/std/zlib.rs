//! `zlib_compress` and `zlib_uncompress`, with the window-bits convention of zlib.

use std::io::{Read, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::fault::Fault;
use crate::limits::MAX_STRING_BYTES;
use crate::native::{Call, Native, NativeRun};
use crate::value::Value;

/// On one core of a busy machine compressing runs at 85 MB/s or more at every level.
const INLINE_BYTES: usize = 16 << 10;
/// Expanding runs at 300 MB/s of what comes out, which may be 1032 times as large as what goes in.
const INLINE_PACKED_BYTES: usize = 64;

/// The natives of this file.
pub static NATIVES: &[Native] = &[
    Native {
        name: "zlib_compress",
        params: "string data [, number level = -1 [, number windowbits = 15]]",
        doc: "Compresses: windowbits 9..15 write a zlib header, -9..-15 raw deflate, 25..31 gzip.",
        min_args: 1,
        max_args: Some(3),
        run: NativeRun::Sized { above_bytes: INLINE_BYTES, run: zlib_compress },
    },
    Native {
        name: "zlib_uncompress",
        params: "string data [, number windowbits = 15]",
        doc: "Inverse of zlib_compress; windowbits 47 takes zlib or gzip. None if the data is damaged or incomplete.",
        min_args: 1,
        max_args: Some(2),
        run: NativeRun::Sized { above_bytes: INLINE_PACKED_BYTES, run: zlib_uncompress },
    },
];

/// What surrounds the deflated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapper {
    Raw,
    Zlib,
    Gzip,
    Detect,
}

/// The wrapper that zlib's window bits ask for. The size of the window itself is always 32 KiB: data packed with a
/// smaller one is read, and none is written.
fn wrapper(bits: i64) -> Option<Wrapper> {
    match bits {
        -15..=-8 => Some(Wrapper::Raw),
        8..=15 => Some(Wrapper::Zlib),
        24..=31 => Some(Wrapper::Gzip),
        40..=47 => Some(Wrapper::Detect),
        _ => None,
    }
}

fn zlib_compress(call: &mut Call<'_>) -> Result<Value, Fault> {
    let level = call.opt_integer(1)?.unwrap_or(-1);
    let level = match level {
        -1 => Compression::default(),
        0..=9 => Compression::new(level as u32),
        _ => return Err(Fault::argument("zlib_compress", 1, "a level from -1 to 9", &level.to_string())),
    };
    let bits = call.opt_integer(2)?.unwrap_or(15);
    let data = call.bytes(0)?;
    let out = match wrapper(bits) {
        Some(Wrapper::Raw) => compress(Compress::new(level, false), data),
        Some(Wrapper::Zlib) => compress(Compress::new(level, true), data),
        Some(Wrapper::Gzip) => compress_gzip(level, data),
        _ => return Err(bad_window("zlib_compress", 2, bits)),
    };
    Ok(out.map_or(Value::None, Value::from))
}

fn compress(mut stream: Compress, data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(data.len() / 2 + 64);
    loop {
        let rest = data.get(stream.total_in() as usize..)?;
        match stream.compress_vec(rest, &mut out, FlushCompress::Finish).ok()? {
            Status::StreamEnd => return Some(out),
            Status::Ok | Status::BufError => out.reserve(out.len().max(64)),
        }
    }
}

fn compress_gzip(level: Compression, data: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 2 + 64), level);
    encoder.write_all(data).ok()?;
    encoder.finish().ok()
}

fn zlib_uncompress(call: &mut Call<'_>) -> Result<Value, Fault> {
    let bits = call.opt_integer(1)?.unwrap_or(15);
    let wrapper = wrapper(bits).ok_or_else(|| bad_window("zlib_uncompress", 1, bits))?;
    match uncompress(wrapper, call.bytes(0)?, MAX_STRING_BYTES) {
        Ok(bytes) => Ok(Value::from(bytes)),
        Err(Damage::Malformed) => Ok(Value::None),
        Err(Damage::TooLarge) => Err(Fault::error(format!(
            "zlib_uncompress(): the data expands to more than {MAX_STRING_BYTES} bytes"
        ))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Damage {
    Malformed,
    TooLarge,
}

/// The first stream in `data`; what follows it is ignored, as zlib's `inflate` does.
fn uncompress(wrapper: Wrapper, data: &[u8], limit: usize) -> Result<Vec<u8>, Damage> {
    match wrapper {
        Wrapper::Gzip => uncompress_gzip(data, limit),
        Wrapper::Detect if data.starts_with(b"\x1f\x8b") => uncompress_gzip(data, limit),
        Wrapper::Detect | Wrapper::Zlib => inflate(Decompress::new(true), data, limit),
        Wrapper::Raw => inflate(Decompress::new(false), data, limit),
    }
}

fn inflate(mut stream: Decompress, data: &[u8], limit: usize) -> Result<Vec<u8>, Damage> {
    let mut out = Vec::with_capacity(data.len().saturating_mul(3).clamp(64, 1 << 20));
    loop {
        let before = (stream.total_in(), stream.total_out());
        let rest = data.get(before.0 as usize..).ok_or(Damage::Malformed)?;
        let status =
            stream.decompress_vec(rest, &mut out, FlushDecompress::None).map_err(|_| Damage::Malformed)?;
        if out.len() > limit {
            return Err(Damage::TooLarge);
        }
        if status == Status::StreamEnd {
            return Ok(out);
        }
        if out.len() == out.capacity() {
            out.reserve(out.len().max(64));
        } else if (stream.total_in(), stream.total_out()) == before {
            return Err(Damage::Malformed);
        }
    }
}

fn uncompress_gzip(data: &[u8], limit: usize) -> Result<Vec<u8>, Damage> {
    let mut out = Vec::new();
    GzDecoder::new(data).take(limit as u64 + 1).read_to_end(&mut out).map_err(|_| Damage::Malformed)?;
    if out.len() > limit { Err(Damage::TooLarge) } else { Ok(out) }
}

fn bad_window(name: &str, index: usize, bits: i64) -> Fault {
    Fault::argument(name, index, "window bits of zlib (9..15, -9..-15, 25..31)", &bits.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(wrapper: Wrapper, data: &[u8]) -> Vec<u8> {
        let level = Compression::default();
        match wrapper {
            Wrapper::Raw => compress(Compress::new(level, false), data),
            Wrapper::Gzip => compress_gzip(level, data),
            Wrapper::Zlib | Wrapper::Detect => compress(Compress::new(level, true), data),
        }
        .unwrap()
    }

    #[test]
    fn data_cut_anywhere_is_malformed() {
        for wrapper in [Wrapper::Raw, Wrapper::Zlib, Wrapper::Gzip] {
            let packed = pack(wrapper, &b"a text that is long enough ".repeat(20));
            for end in 0..packed.len() {
                assert_eq!(
                    uncompress(wrapper, &packed[..end], 1 << 20),
                    Err(Damage::Malformed),
                    "{wrapper:?} {end}"
                );
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let zeros = vec![0; 1 << 20];
        for wrapper in [Wrapper::Raw, Wrapper::Zlib, Wrapper::Gzip] {
            let bomb = pack(wrapper, &zeros);
            assert_eq!(uncompress(wrapper, &bomb, 1 << 16), Err(Damage::TooLarge));
            assert_eq!(uncompress(wrapper, &bomb, 1 << 20).map(|out| out.len()), Ok(1 << 20));
        }
    }

    #[test]
    fn streams_of_zlib_itself_are_read() {
        // zlib 1.3, level 9: `aaaa` raw, with header, and as gzip.
        let streams: [(Wrapper, &[u8]); 3] = [
            (Wrapper::Raw, b"KLLL\x04\x00"),
            (Wrapper::Zlib, b"x\xdaKLLL\x04\x00\x03\xce\x01\x85"),
            (Wrapper::Gzip, b"\x1f\x8b\x08\0\0\0\0\0\x02\x03KLLL\x04\x00E\xe5\x98\xad\x04\0\0\0"),
        ];
        for (wrapper, stream) in streams {
            assert_eq!(uncompress(wrapper, stream, 4).as_deref(), Ok(&b"aaaa"[..]), "{wrapper:?}");
        }
        let wrong_checksum = b"x\xdaKLLL\x04\x00\x03\xce\x01\x86";
        assert_eq!(uncompress(Wrapper::Zlib, wrong_checksum, 4), Err(Damage::Malformed));
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for wrapper in [Wrapper::Raw, Wrapper::Zlib, Wrapper::Gzip] {
                let packed = pack(wrapper, &data);
                prop_assert_eq!(&uncompress(wrapper, &packed, 1 << 20).unwrap(), &data);
                if wrapper != Wrapper::Raw {
                    prop_assert_eq!(&uncompress(Wrapper::Detect, &packed, 1 << 20).unwrap(), &data);
                }
            }
        }

        #[test]
        fn any_bytes_end(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            for wrapper in [Wrapper::Raw, Wrapper::Zlib, Wrapper::Gzip, Wrapper::Detect] {
                let _ = uncompress(wrapper, &data, 1 << 16);
            }
        }
    }
}
