//! What `extras://argon2` computes: passwords against hashes of Argon2 (RFC 9106).

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use script::fault::Fault;
use script::native::{Call, Native};
use script::value::Value;

/// The most memory that a hash may ask for, in KiB: 256 MiB. It comes from a database, and may ask for 4 TiB.
const MEMORY_KIB_MAX: u32 = 256 << 10;

/// The most work that a hash may ask for, in passes over a KiB: some seconds.
const WORK_KIB_MAX: u64 = 4 << 20;

/// Fills memory as often as the hash says: on the pool.
pub(super) const VERIFY: Native = Native::sized(
    "__argon2_verify",
    "string variant, string encoded, string password",
    (3, Some(3)),
    "What extras://argon2 runs.",
    0,
    verify,
);

fn verify(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (variant, encoded, password) = (call.str(0)?, call.str(1)?, call.str(2)?);
    let encoded = encoded.to_string_lossy();
    let Ok(hash) = PasswordHash::new(&encoded) else { return Ok(false.into()) };
    let Ok(params) = Params::try_from(&hash) else { return Ok(false.into()) };
    if params.m_cost() > MEMORY_KIB_MAX
        || u64::from(params.m_cost()) * u64::from(params.t_cost()) > WORK_KIB_MAX
    {
        return Err(call.error(format_args!(
            "the hash asks for {} KiB and {} passes; at most {MEMORY_KIB_MAX} KiB and {WORK_KIB_MAX} passed over",
            params.m_cost(),
            params.t_cost()
        )));
    }
    let same = hash.algorithm.as_str().as_bytes() == variant.as_bytes();
    Ok((same && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()).into())
}
