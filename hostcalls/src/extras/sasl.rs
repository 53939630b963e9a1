//! What `extras://sasl` computes: the machines are those of `net::smtp::sasl`.

use net::smtp::sasl::{CramMd5, ScramFirst, ScramKeys};
use script::fault::Fault;
use script::native::{Call, Native};
use script::value::{Array, Value};

/// Most rounds of hashing: a second or so.
const ITERATIONS_MAX: f64 = 1_000_000.0;

pub(super) const CRAM_MD5: Native = Native::inline(
    "__sasl_cram_md5",
    "string password, string challenge, string response",
    (3, Some(3)),
    "What extras://sasl runs.",
    cram_md5,
);

pub(super) const SCRAM_FIRST: Native = Native::inline(
    "__sasl_scram_first",
    "string message",
    (1, Some(1)),
    "What extras://sasl runs.",
    scram_first,
);

/// Hashes some thousand times: on the pool.
pub(super) const SCRAM_FINAL: Native = Native::sized(
    "__sasl_scram_final",
    "string password, array kept, string message",
    (3, Some(3)),
    "What extras://sasl runs.",
    0,
    scram_final,
);

fn cram_md5(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (password, challenge, response) = (call.str(0)?, call.str(1)?, call.str(2)?);
    let machine = CramMd5::of_challenge(challenge.to_string_lossy().into_owned());
    let response = machine.respond(response.as_bytes());
    Ok(response.is_some_and(|response| response.is_right(password.as_bytes())).into())
}

/// Name and nonce of a client's first message; none where it is none, or where it wants to act as somebody else.
fn scram_first(call: &mut Call<'_>) -> Result<Value, Fault> {
    let message = call.str(0)?;
    let first = ScramFirst::parse(message.as_bytes());
    let first = first.filter(|first| first.authorization.as_ref().is_none_or(|name| *name == first.username));
    Ok(first.map_or(Value::None, |first| {
        let mut array = Array::new();
        array.set_str("username", &first.username[..]);
        array.set_str("nonce", first.nonce());
        array.into()
    }))
}

/// Our proof for a client that has proven that it knows the password; none for another.
fn scram_final(call: &mut Call<'_>) -> Result<Value, Fault> {
    let kept = call.array(1)?.clone();
    let text = |key: &str| kept.get_str(key).and_then(|value| value.as_str().cloned());
    let iterations = kept.get_str("iterations").and_then(|value| value.as_number()).unwrap_or(4096.0);
    if !(1.0..=ITERATIONS_MAX).contains(&iterations) {
        return Err(call.error(format_args!("iterations are from 1 to {ITERATIONS_MAX}")));
    }
    let (Some(first), Some(nonce), Some(salt)) = (text("first"), text("nonce"), text("salt")) else {
        return Ok(Value::None);
    };
    let Some(first) = ScramFirst::parse(first.as_bytes()) else { return Ok(Value::None) };
    let keys = ScramKeys::derive(call.str(0)?.as_bytes(), salt.as_bytes(), iterations as u32);
    let machine = first.challenge_with(keys, nonce.as_bytes());
    Ok(machine.finish(call.str(2)?.as_bytes()).map_or(Value::None, |proof| proof[..].into()))
}
