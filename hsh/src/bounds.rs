//! `--limit`: what one script may use.

use std::fmt::Write as _;
use std::time::Duration;

use script::machine::Limits;

/// The limits of a run.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Those that the machine watches.
    pub machine: Limits,
    /// Wall clock, waiting included.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        // The clock bounds what one script of one user may compute.
        Bounds {
            machine: Limits { steps: u64::MAX, ..Limits::default() },
            time: hostcalls::limits::WALL_CLOCK,
        }
    }
}

/// No limit: a century, which clocks can still add to.
const FOR_EVER: Duration = Duration::from_secs(100 * 366 * 86_400);

/// A limit that has a name: what it bounds, the default as text, and how it is set.
struct Named {
    name: &'static str,
    meaning: &'static str,
    default: fn(&Bounds) -> String,
    set: fn(&mut Bounds, Option<f64>),
}

const NAMED: [Named; 4] = [
    Named {
        name: "time",
        meaning: "seconds by the clock, waiting included",
        default: |bounds| bounds.time.as_secs().to_string(),
        set: |bounds, value| {
            bounds.time = value.map_or(FOR_EVER, |s| Duration::from_secs_f64(s.min(FOR_EVER.as_secs_f64())))
        },
    },
    Named {
        name: "steps",
        meaning: "instructions",
        default: |bounds| match bounds.machine.steps {
            u64::MAX => "none".to_owned(),
            steps => steps.to_string(),
        },
        set: |bounds, value| bounds.machine.steps = value.map_or(u64::MAX, |steps| steps as u64),
    },
    Named {
        name: "memory",
        meaning: "bytes of values that the script can reach",
        default: |bounds| size(bounds.machine.memory_bytes),
        set: |bounds, value| bounds.machine.memory_bytes = value.map_or(usize::MAX, |bytes| bytes as usize),
    },
    Named {
        name: "depth",
        meaning: "function calls in each other; exceeding it can be caught",
        default: |bounds| bounds.machine.depth.to_string(),
        set: |bounds, value| bounds.machine.depth = value.map_or(u32::MAX, |depth| depth as u32),
    },
];

/// The limits with what `--limit` says. The error is a sentence for standard error.
pub fn parse(given: &[(String, String)]) -> Result<Bounds, String> {
    let mut bounds = Bounds::default();
    for (name, value) in given {
        let named = NAMED.iter().find(|named| named.name == name).ok_or_else(|| {
            let all: Vec<&str> = NAMED.iter().map(|named| named.name).collect();
            format!("--limit {name}: there is no such limit; there are {}", all.join(", "))
        })?;
        let number = if value == "none" {
            None
        } else {
            Some(number(value).ok_or_else(|| {
                format!("--limit {name}={value}: expected a number above 0, such as 500 or 64MiB, or none")
            })?)
        };
        (named.set)(&mut bounds, number);
    }
    Ok(bounds)
}

/// The table of limits for `--help`.
pub fn help() -> String {
    let bounds = Bounds::default();
    let mut text = String::new();
    for named in &NAMED {
        let _ = writeln!(text, "  {:<8} {:<12} {}", named.name, (named.default)(&bounds), named.meaning);
    }
    text
}

/// A number above 0, or a size with a unit.
fn number(text: &str) -> Option<f64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1_u64 << 30), ("B", 1)];
    let with_unit = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = with_unit.unwrap_or((text, 1));
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = digits.parse().ok().filter(|_| plain)?;
    (number > 0.0).then_some(number * factor as f64)
}

fn size(bytes: usize) -> String {
    match bytes {
        usize::MAX => "none".to_owned(),
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<Bounds, String> {
        parse(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn each_limit_can_be_set_and_taken_away() {
        assert_eq!(one("time", "1.5").unwrap().time, Duration::from_millis(1500));
        assert_eq!(one("time", "none").unwrap().time, FOR_EVER);
        assert_eq!(one("time", "1000000000000000000000").unwrap().time, FOR_EVER);
        assert_eq!(one("steps", "1000").unwrap().machine.steps, 1000);
        assert_eq!(one("memory", "64MiB").unwrap().machine.memory_bytes, 64 << 20);
        assert_eq!(one("depth", "none").unwrap().machine.depth, u32::MAX);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for value in ["", "x", "-1", "0", "1e9", "inf", "NaN", "5 MiB", "MiB"] {
            assert!(one("memory", value).unwrap_err().contains("expected a number"), "{value}");
        }
        assert!(one("colour", "1").unwrap_err().contains("time, steps, memory, depth"));
    }

    #[test]
    fn the_manual_has_the_defaults() {
        let manual = include_str!("../../docs/hsl/hsh.md");
        let bounds = Bounds::default();
        for named in &NAMED {
            let row = format!("| `{}` | {} |", named.name, (named.default)(&bounds));
            assert!(manual.contains(&row), "docs/hsl/hsh.md has no row {row}");
        }
    }
}
