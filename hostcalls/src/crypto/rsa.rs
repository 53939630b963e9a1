//! `rsa_sign` and `rsa_verify`: the ids of the configuration are looked up here, the work is done elsewhere.

use mail::keys::{Hash, PrivateKey, RsaPublicKey};
use script::fault::Fault;
use script::host::Host;
use script::native::{Call, Native, NativeFrame, NativeRun, Next, Options, Step};
use script::value::{Array, Function, FunctionBuf, Value};

use super::{KeyText, key_of_text, pki, private_key};

/// Bytes of all arguments that are verified at once (`bench/script/thresholds.hsl`).
const VERIFIED_INLINE_BYTES: usize = 32 * 1024;

const HASHES: &str = "hash (md5, sha1, sha256 or sha512; default sha256)";

pub(super) const RSA_SIGN: Native = Native::offloading(
    "rsa_sign",
    "string message, resource or string key [, array options]",
    (2, Some(3)),
    "The RSA signature (PKCS#1 v1.5) of a message, or none if the key does not serve. Options: hash (md5, sha1, sha256 or \
     sha512; default sha256), format of a key given as string (RSAPrivateKey or PrivateKeyInfo), pem, id.",
    (0, "the message"),
    |call| start(call, &SIGN, pki::configured_key),
);

pub(super) const RSA_VERIFY: Native = Native::offloading(
    "rsa_verify",
    "string message, string signature, string publickey [, array options]",
    (3, Some(4)),
    "Whether an RSA signature (PKCS#1 v1.5) is one of the message; none if the key is none. Options: hash (md5, sha1, \
     sha256 or sha512; default sha256), format of the key (RSAPublicKey or SubjectPublicKeyInfo), pem, id.",
    (VERIFIED_INLINE_BYTES, "the arguments"),
    |call| start(call, &VERIFY, pki::configured_public_key),
);

static SIGN: Native = Native {
    name: "rsa_sign",
    params: "string message, resource or string key, array options",
    doc: HASHES,
    min_args: 3,
    max_args: Some(3),
    run: NativeRun::Sized { above_bytes: 0, run: sign },
};

static VERIFY: Native = Native {
    name: "rsa_verify",
    params: "string message, string signature, string publickey, array options",
    doc: HASHES,
    min_args: 4,
    max_args: Some(4),
    run: NativeRun::Sized { above_bytes: VERIFIED_INLINE_BYTES, run: verify },
};

/// Replaces an id by the key that it names, and goes on with `work`.
fn start(
    call: &mut Call<'_>,
    work: &'static Native,
    configured: fn(&mut dyn Host, &[u8]) -> Option<Value>,
) -> Result<Step, Fault> {
    let last = usize::from(work.min_args) - 1;
    let key = last - 1;
    let options = call.options(last)?;
    hash(&options, call)?;
    let mut args: Vec<Value> = call.args().to_vec();
    args.resize(last + 1, Value::None);
    if args[last].is_none() {
        args[last] = Array::new().into();
    }
    if options.boolean("id", false)? {
        let id = call.str(key)?;
        let Some(value) = configured(call.host(), &id) else { return Ok(Step::Return(Value::None)) };
        args[key] = value;
    }
    let function = Value::Function(Function::new(FunctionBuf::Native(work)));
    Ok(Step::Call { function, args, then: Box::new(Forward) })
}

/// Gives on what the other native returned.
struct Forward;

impl NativeFrame for Forward {
    fn resume(&mut self, result: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        Ok(Next::Return(result))
    }

    fn for_each_value(&self, _visit: &mut dyn FnMut(&Value)) {}
}

fn sign(call: &mut Call<'_>) -> Result<Value, Fault> {
    let options = call.options(2)?;
    let hash = hash(&options, call)?;
    let message = call.bytes(0)?;
    let read;
    let key = match private_key(call.arg(1)) {
        Some(key) => key,
        None => {
            let text = call.str(1).map_err(|_| call.wrong(1, "an RSAPrivateKey or a string"))?;
            let Some(key) = key_of_text(&text, private_form(&options, call)?) else { return Ok(Value::None) };
            read = key;
            &read
        }
    };
    let PrivateKey::Rsa(key) = key else { return Ok(Value::None) };
    Ok(key.sign(hash, message).ok().into())
}

fn verify(call: &mut Call<'_>) -> Result<Value, Fault> {
    let options = call.options(3)?;
    let hash = hash(&options, call)?;
    let key = match options.boolean("id", false)? {
        true => RsaPublicKey::from_pkcs1_der(call.bytes(2)?),
        false => public_key(&options, call)?,
    };
    let (message, signature) = (call.bytes(0)?, call.bytes(1)?);
    Ok(key.ok().map(|key| key.verify(hash, message, signature)).into())
}

fn public_key(
    options: &Options,
    call: &Call<'_>,
) -> Result<Result<RsaPublicKey, mail::keys::KeyError>, Fault> {
    let text = call.bytes(2)?;
    if options.boolean("pem", false)? {
        return Ok(RsaPublicKey::from_pem(text));
    }
    match options.str("format")?.as_deref() {
        None | Some(b"RSAPublicKey") => Ok(RsaPublicKey::from_pkcs1_der(text)),
        Some(b"SubjectPublicKeyInfo") => Ok(RsaPublicKey::from_spki_der(text)),
        Some(_) => Err(call.error("option \"format\" must be RSAPublicKey or SubjectPublicKeyInfo")),
    }
}

fn private_form(options: &Options, call: &Call<'_>) -> Result<KeyText, Fault> {
    if options.boolean("pem", false)? {
        return Ok(KeyText::Pem);
    }
    match options.str("format")?.as_deref() {
        None | Some(b"RSAPrivateKey") => Ok(KeyText::RsaPrivateKey),
        Some(b"PrivateKeyInfo") => Ok(KeyText::PrivateKeyInfo),
        Some(_) => Err(call.error("option \"format\" must be RSAPrivateKey or PrivateKeyInfo")),
    }
}

fn hash(options: &Options, call: &Call<'_>) -> Result<Hash, Fault> {
    match options.str("hash")?.as_deref() {
        None | Some(b"sha256") => Ok(Hash::Sha256),
        Some(b"md5") => Ok(Hash::Md5),
        Some(b"sha1") => Ok(Hash::Sha1),
        Some(b"sha512") => Ok(Hash::Sha512),
        Some(_) => Err(call.error("option \"hash\" must be md5, sha1, sha256 or sha512")),
    }
}
