//! `aes_encrypt` and `aes_decrypt`: hsl-stdlib 9.3.

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, KeyInit,
    KeyIvInit,
};
use aes::{Aes128, Aes192, Aes256};

use crate::fault::Fault;
use crate::native::{Call, Native, NativeRun};
use crate::value::Value;

/// AES runs at 1.1 GB/s where the processor helps, and at a twentieth of that where it does not.
const INLINE_BYTES: usize = 8 << 10;
const BLOCK: usize = 16;

/// The natives of this file.
pub static NATIVES: &[Native] = &[
    Native {
        name: "aes_encrypt",
        params: "string message, string key, string mode [, array options]",
        doc: "AES with a raw key of 16, 24 or 32 bytes in mode `ecb` or `cbc` (option `iv`); option `padding` (true) \
              is PKCS#7. None when a length does not fit.",
        min_args: 3,
        max_args: Some(4),
        run: NativeRun::Sized { above_bytes: INLINE_BYTES, run: aes_encrypt },
    },
    Native {
        name: "aes_decrypt",
        params: "string message, string key, string mode [, array options]",
        doc: "Inverse of aes_encrypt; none also when the padding is wrong.",
        min_args: 3,
        max_args: Some(4),
        run: NativeRun::Sized { above_bytes: INLINE_BYTES, run: aes_decrypt },
    },
];

/// A block cipher with the blocks of AES.
trait Cipher: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + BlockCipherDecrypt + KeyInit {}
impl<C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + BlockCipherDecrypt + KeyInit> Cipher for C {}

/// How blocks depend on each other.
enum Mode<'a> {
    Ecb,
    Cbc { iv: &'a [u8] },
}

fn aes_encrypt(call: &mut Call<'_>) -> Result<Value, Fault> {
    run(call, |key, mode, message, padding| match key.len() {
        16 => encrypt::<Aes128>(key, mode, message, padding),
        24 => encrypt::<Aes192>(key, mode, message, padding),
        32 => encrypt::<Aes256>(key, mode, message, padding),
        _ => None,
    })
}

fn aes_decrypt(call: &mut Call<'_>) -> Result<Value, Fault> {
    run(call, |key, mode, message, padding| match key.len() {
        16 => decrypt::<Aes128>(key, mode, message, padding),
        24 => decrypt::<Aes192>(key, mode, message, padding),
        32 => decrypt::<Aes256>(key, mode, message, padding),
        _ => None,
    })
}

type Work = fn(&[u8], Mode<'_>, &[u8], bool) -> Option<Vec<u8>>;

fn run(call: &mut Call<'_>, work: Work) -> Result<Value, Fault> {
    let options = call.options(3)?;
    let padding = options.boolean("padding", true)?;
    let iv = options.str("iv")?.unwrap_or_default();
    let mode = match call.bytes(2)? {
        b"ecb" => Mode::Ecb,
        b"cbc" => Mode::Cbc { iv: &iv },
        mode => {
            return Err(Fault::argument(call.native().name, 2, "ecb or cbc", &String::from_utf8_lossy(mode)));
        }
    };
    Ok(work(call.bytes(1)?, mode, call.bytes(0)?, padding).map_or(Value::None, Value::from))
}

fn encrypt<C: Cipher>(key: &[u8], mode: Mode<'_>, message: &[u8], padding: bool) -> Option<Vec<u8>> {
    let mut data = Vec::with_capacity(message.len() + BLOCK);
    data.extend_from_slice(message);
    if padding {
        let fill = BLOCK - message.len() % BLOCK;
        data.resize(message.len() + fill, fill as u8);
    }
    let (blocks, rest) = Array::slice_as_chunks_mut(&mut data);
    if !rest.is_empty() {
        return None;
    }
    match mode {
        Mode::Ecb => C::new_from_slice(key).ok()?.encrypt_blocks(blocks),
        Mode::Cbc { iv } => cbc::Encryptor::<C>::new_from_slices(key, iv).ok()?.encrypt_blocks(blocks),
    }
    Some(data)
}

fn decrypt<C: Cipher>(key: &[u8], mode: Mode<'_>, message: &[u8], padding: bool) -> Option<Vec<u8>> {
    let mut data = message.to_vec();
    let (blocks, rest) = Array::slice_as_chunks_mut(&mut data);
    if !rest.is_empty() {
        return None;
    }
    match mode {
        Mode::Ecb => C::new_from_slice(key).ok()?.decrypt_blocks(blocks),
        Mode::Cbc { iv } => cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?.decrypt_blocks(blocks),
    }
    if padding {
        let fill = usize::from(*data.last()?);
        let length = data.len().checked_sub(fill)?;
        if fill == 0 || fill > BLOCK || data[length..].iter().any(|&byte| usize::from(byte) != fill) {
            return None;
        }
        data.truncate(length);
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn published_blocks_come_out() {
        let message = hex("00112233445566778899aabbccddeeff");
        let key = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        // FIPS 197, appendix C.
        let cases: [(usize, Work, &str); 3] = [
            (16, encrypt::<Aes128>, "69c4e0d86a7b0430d8cdb78070b4c55a"),
            (24, encrypt::<Aes192>, "dda97ca4864cdfe06eaf70a0ec0d7191"),
            (32, encrypt::<Aes256>, "8ea2b7ca516745bfeafc49904b496089"),
        ];
        for (length, work, expected) in cases {
            assert_eq!(work(&key[..length], Mode::Ecb, &message, false), Some(hex(expected)));
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let key = [0; 16];
        assert_eq!(encrypt::<Aes128>(&key, Mode::Ecb, b"short", false), None);
        assert_eq!(encrypt::<Aes128>(&key, Mode::Cbc { iv: b"short" }, b"short", true), None);
        assert_eq!(encrypt::<Aes128>(&key[1..], Mode::Ecb, b"short", true), None);
        assert_eq!(decrypt::<Aes128>(&key, Mode::Ecb, b"", true), None);
        for (last, fine) in [(0, false), (1, true), (17, false)] {
            let mut block = [9; 16];
            block[15] = last;
            let secret = encrypt::<Aes128>(&key, Mode::Ecb, &block, false).unwrap();
            assert_eq!(decrypt::<Aes128>(&key, Mode::Ecb, &secret, true).is_some(), fine, "{last}");
        }
        assert_eq!(decrypt::<Aes128>(&key, Mode::Ecb, &[7; 16], true), None);
        assert_eq!(decrypt::<Aes128>(&key, Mode::Ecb, &[7; 17], true), None);
    }

    proptest! {
        #[test]
        fn what_is_encrypted_comes_back(message in proptest::collection::vec(any::<u8>(), 0..200), key: [u8; 16],
            iv: [u8; 16])
        {
            let secret = encrypt::<Aes128>(&key, Mode::Cbc { iv: &iv }, &message, true).unwrap();
            prop_assert_eq!(decrypt::<Aes128>(&key, Mode::Cbc { iv: &iv }, &secret, true), Some(message.clone()));
            let secret = encrypt::<Aes128>(&key, Mode::Ecb, &message, true).unwrap();
            prop_assert_eq!(decrypt::<Aes128>(&key, Mode::Ecb, &secret, true), Some(message));
        }
    }
}
