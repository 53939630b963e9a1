//! What `extras://des` computes: DES (FIPS 46-3) in the modes of FIPS 81.

use des::cipher::block_padding::{NoPadding, Pkcs7};
use des::cipher::consts::U8;
use des::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, KeyInit,
    KeyIvInit, StreamCipher,
};
use des::{Des, TdesEde3};
use script::fault::Fault;
use script::native::{Call, Native};
use script::value::Value;

/// Takes 150 us at once, at about 50 MB/s for one DES and a third of that for three.
const INLINE_BYTES: usize = 2 << 10;

const PARAMS: &str = "string message, string key, string mode [, array options]";

pub(super) const ENCRYPT: Native = Native::sized(
    "__des_encrypt",
    PARAMS,
    (3, Some(4)),
    "What extras://des runs.",
    INLINE_BYTES,
    des_encrypt,
);

pub(super) const DECRYPT: Native = Native::sized(
    "__des_decrypt",
    PARAMS,
    (3, Some(4)),
    "What extras://des runs.",
    INLINE_BYTES,
    des_decrypt,
);

/// A block cipher with the blocks of DES.
trait Cipher: BlockSizeUser<BlockSize = U8> + BlockCipherEncrypt + BlockCipherDecrypt + KeyInit {}
impl<C: BlockSizeUser<BlockSize = U8> + BlockCipherEncrypt + BlockCipherDecrypt + KeyInit> Cipher for C {}

/// How blocks depend on each other.
#[derive(Clone, Copy)]
enum Mode {
    Ecb,
    Cbc,
    Cfb,
    Ofb,
}

/// One call, with its bytes.
struct Work<'a> {
    mode: Mode,
    key: &'a [u8],
    iv: &'a [u8],
    padding: bool,
    message: &'a [u8],
}

fn des_encrypt(call: &mut Call<'_>) -> Result<Value, Fault> {
    run(call, encrypt::<Des>, encrypt::<TdesEde3>)
}

fn des_decrypt(call: &mut Call<'_>) -> Result<Value, Fault> {
    run(call, decrypt::<Des>, decrypt::<TdesEde3>)
}

type Run = fn(&Work<'_>) -> Option<Vec<u8>>;

fn run(call: &mut Call<'_>, single: Run, triple: Run) -> Result<Value, Fault> {
    let options = call.options(3)?;
    let padding = options.boolean("padding", true)?;
    let iv = options.str("iv")?.unwrap_or_default();
    let name = call.bytes(2)?;
    let (name, run) = match name.strip_prefix(b"ede3") {
        Some(rest) => (rest.strip_prefix(b"-").unwrap_or(rest), triple),
        None => (name, single),
    };
    let mode = match name {
        b"ecb" | b"" => Mode::Ecb,
        b"cbc" => Mode::Cbc,
        b"cfb" => Mode::Cfb,
        b"ofb" => Mode::Ofb,
        _ => return Err(call.wrong(2, "cbc, ecb, cfb, ofb, ede3-cbc, ede3, ede3-cfb or ede3-ofb")),
    };
    let work = Work { mode, key: call.bytes(1)?, iv: iv.as_bytes(), padding, message: call.bytes(0)? };
    Ok(run(&work).map_or(Value::None, Value::from))
}

fn encrypt<C: Cipher>(work: &Work<'_>) -> Option<Vec<u8>> {
    let &Work { key, iv, message, .. } = work;
    match work.mode {
        Mode::Ecb => encrypt_blocks(ecb::Encryptor::<C>::new_from_slice(key).ok()?, work),
        Mode::Cbc => encrypt_blocks(cbc::Encryptor::<C>::new_from_slices(key, iv).ok()?, work),
        Mode::Cfb => {
            let mut data = message.to_vec();
            cfb_mode::Encryptor::<C>::new_from_slices(key, iv).ok()?.encrypt(&mut data);
            Some(data)
        }
        Mode::Ofb => key_stream::<C>(work),
    }
}

fn decrypt<C: Cipher>(work: &Work<'_>) -> Option<Vec<u8>> {
    let &Work { key, iv, message, .. } = work;
    match work.mode {
        Mode::Ecb => decrypt_blocks(ecb::Decryptor::<C>::new_from_slice(key).ok()?, work),
        Mode::Cbc => decrypt_blocks(cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?, work),
        Mode::Cfb => {
            let mut data = message.to_vec();
            cfb_mode::Decryptor::<C>::new_from_slices(key, iv).ok()?.decrypt(&mut data);
            Some(data)
        }
        Mode::Ofb => key_stream::<C>(work),
    }
}

fn encrypt_blocks(cipher: impl BlockModeEncrypt, work: &Work<'_>) -> Option<Vec<u8>> {
    match work.padding {
        true => Some(cipher.encrypt_padded_vec::<Pkcs7>(work.message)),
        false if work.message.len().is_multiple_of(8) => {
            Some(cipher.encrypt_padded_vec::<NoPadding>(work.message))
        }
        false => None,
    }
}

fn decrypt_blocks(cipher: impl BlockModeDecrypt, work: &Work<'_>) -> Option<Vec<u8>> {
    match work.padding {
        true => cipher.decrypt_padded_vec::<Pkcs7>(work.message).ok(),
        false => cipher.decrypt_padded_vec::<NoPadding>(work.message).ok(),
    }
}

fn key_stream<C: Cipher>(work: &Work<'_>) -> Option<Vec<u8>> {
    let mut data = work.message.to_vec();
    ofb::Ofb::<C>::new_from_slices(work.key, work.iv).ok()?.try_apply_keystream(&mut data).ok()?;
    Some(data)
}
