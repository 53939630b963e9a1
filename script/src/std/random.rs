//! Random numbers from the host: hsl-stdlib 9.2.

use crate::fault::Fault;
use crate::host::Host;
use crate::limits::MAX_RANDOM_BYTES;
use crate::native::{Call, Native, NativeRun};
use crate::value::Value;

/// The natives of this file. A megabyte of random bytes takes about 1 ms, which nobody asks for: not offloaded.
pub static NATIVES: &[Native] = &[
    Native {
        name: "random_bytes",
        params: "number n",
        doc: "n unpredictable bytes, at most 1 MiB.",
        min_args: 1,
        max_args: Some(1),
        run: NativeRun::Inline(random_bytes),
    },
    Native {
        name: "random_number",
        params: "[number first, number last]",
        doc: "An unpredictable integer from first to last, both included; without arguments a fraction from 0 up to 1.",
        min_args: 0,
        max_args: Some(2),
        run: NativeRun::Inline(random_number),
    },
    Native {
        name: "rand",
        params: "[number first, number last]",
        doc: "Old name of random_number.",
        min_args: 0,
        max_args: Some(2),
        run: NativeRun::Inline(random_number),
    },
];

fn random_bytes(call: &mut Call<'_>) -> Result<Value, Fault> {
    let count = call.integer(0)?;
    let Some(count) = usize::try_from(count).ok().filter(|&count| count <= MAX_RANDOM_BYTES) else {
        return Err(Fault::argument("random_bytes", 0, "from 0 to 1048576", &count.to_string()));
    };
    let mut bytes = vec![0; count];
    call.host().random(&mut bytes);
    Ok(Value::from(bytes))
}

fn random_number(call: &mut Call<'_>) -> Result<Value, Fault> {
    if call.is_empty() {
        // 53 bits fill the fraction of a double.
        return Ok(Value::from((random_u64(call.host()) >> 11) as f64 / (1u64 << 53) as f64));
    }
    let first = call.integer(0)?;
    let last = call.integer(1)?;
    if first > last {
        return Err(Fault::argument(call.native().name, 1, "at least the first", &last.to_string()));
    }
    let span = last.abs_diff(first).saturating_add(1);
    let offset = below(span, || random_u64(call.host()));
    Ok(Value::from(first.wrapping_add_unsigned(offset)))
}

fn random_u64(host: &mut dyn Host) -> u64 {
    let mut bytes = [0; 8];
    host.random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A number below `span`, each with the same probability: draws of the last, incomplete round are thrown away.
fn below(span: u64, mut draw: impl FnMut() -> u64) -> u64 {
    let rounds = u64::MAX / span * span;
    loop {
        let number = draw();
        if number < rounds {
            return number % span;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_of_the_incomplete_round_is_thrown_away() {
        let mut draws = [u64::MAX, u64::MAX - 1, 7].into_iter();
        assert_eq!(below(6, || draws.next().unwrap()), 1);
        assert_eq!(below(1, || 5), 0);
    }
}
