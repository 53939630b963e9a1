//! A mix of message sizes: `2048`, or `2048:8,10240:2` (sizes with weights).

use crate::limits::{MAX_MESSAGE_BYTES, MAX_SIZES, MIN_MESSAGE_BYTES};

/// Sizes and how often each comes. Which size a message has depends on its number alone.
///
/// ```
/// let mix: bench::mix::Mix = "2048:3,10240".parse().unwrap();
/// let sizes: Vec<usize> = (0..4).map(|number| mix.size_bytes(number)).collect();
/// assert_eq!(sizes.iter().filter(|size| **size == 10240).count(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    sizes: Vec<(usize, u32)>,
    total: u32,
}

impl Mix {
    /// The size of message number `number`.
    pub fn size_bytes(&self, number: u32) -> usize {
        // An odd multiplier visits every remainder, so that sizes alternate instead of coming in runs.
        let mut left = number.wrapping_mul(0x9e37_79b1) % self.total;
        if self.total.is_power_of_two() || self.sizes.len() == 1 {
            left = number % self.total;
        }
        for (size, weight) in &self.sizes {
            if left < *weight {
                return *size;
            }
            left -= weight;
        }
        unreachable!("the weights add up to the total")
    }

    /// The largest size.
    pub fn largest_bytes(&self) -> usize {
        self.sizes.iter().map(|(size, _)| *size).max().unwrap_or(MIN_MESSAGE_BYTES)
    }

    /// The one size, when there is only one.
    pub fn single(&self) -> Option<usize> {
        (self.sizes.len() == 1).then(|| self.sizes[0].0)
    }
}

impl std::str::FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let sizes: Vec<(usize, u32)> = text.split(',').map(entry).collect::<Result<_, _>>()?;
        if sizes.len() > MAX_SIZES {
            return Err(format!("at most {MAX_SIZES} sizes"));
        }
        let total = sizes.iter().try_fold(0u32, |sum, (_, weight)| sum.checked_add(*weight));
        Ok(Mix { sizes, total: total.ok_or("the weights are too large")? })
    }
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (size, weight)) in self.sizes.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if self.sizes.len() == 1 { write!(f, "{size}")? } else { write!(f, "{comma}{size}:{weight}")? }
        }
        Ok(())
    }
}

fn entry(text: &str) -> Result<(usize, u32), String> {
    let (size, weight) = text.split_once(':').unwrap_or((text, "1"));
    let size: usize = size.parse().map_err(|_| format!("{size:?} is not a size in bytes"))?;
    let weight: u32 = weight.parse().map_err(|_| format!("{weight:?} is not a weight"))?;
    if !(MIN_MESSAGE_BYTES..=MAX_MESSAGE_BYTES).contains(&size) {
        return Err(format!("{size}: a message has {MIN_MESSAGE_BYTES} to {MAX_MESSAGE_BYTES} bytes"));
    }
    if weight == 0 {
        return Err("a weight of 0".into());
    }
    Ok((size, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_give_the_shares() {
        for (text, small) in [("1000:1,2000:9", 1000), ("1000:3,2000:1", 7500), ("1000", 10_000)] {
            let mix: Mix = text.parse().unwrap();
            let got = (0..10_000).filter(|number| mix.size_bytes(*number) == 1000).count();
            assert!(got.abs_diff(small) <= 20, "{text}: {got}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "100", "2048:0", "2048:x", "2048,", "99999999999"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mix_prints_as_it_is_written() {
        for text in ["2048", "1000:1,2000:9"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
    }
}
