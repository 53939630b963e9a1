//! What a script asks of the machine it runs on: its name and its log.

use crate::fault::Fault;
use crate::native::{Call, Native};
use crate::value::Value;

/// The natives of this file.
pub static NATIVES: &[Native] = &[
    Native::inline("gethostname", "", (0, Some(0)), "The name of this machine.", gethostname),
    Native::inline(
        "syslog",
        "string or number priority, string message",
        (2, Some(2)),
        "Writes to the system log. Priorities: emerg, alert, crit, err, warning, notice, info, debug or 0 to 7; a number \
         may add a facility (8 times its code).",
        syslog,
    ),
];

/// In the order of their codes.
const PRIORITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// The highest code of syslog(3): facility local7, priority debug.
const MAX_PRIORITY: i64 = 23 * 8 + 7;

fn gethostname(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(Value::from(call.host().hostname()))
}

fn syslog(call: &mut Call<'_>) -> Result<Value, Fault> {
    let priority = match call.arg(0) {
        Value::Number(code) if (0.0..=MAX_PRIORITY as f64).contains(code) => Some(*code as u32),
        Value::Str(name) => {
            let code = PRIORITIES.iter().position(|priority| priority.as_bytes() == name.as_bytes());
            code.and_then(|code| u32::try_from(code).ok())
        }
        _ => None,
    };
    let priority = priority.ok_or_else(|| call.wrong(0, "a priority of syslog"))?;
    let message = match call.arg(1) {
        Value::None => return Err(call.wrong(1, "a string")),
        value => value.to_text()?,
    };
    call.host().syslog(priority, &message);
    Ok(Value::None)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{StillHost, call, call_with, text};

    #[test]
    fn a_priority_is_a_name_or_a_number_with_its_facility() {
        let mut host = StillHost::default();
        call_with(&mut host, "syslog", ["warning".into(), "one".into()]).unwrap();
        call_with(&mut host, "syslog", [f64::from(6 + (2 << 3)).into(), "two".into()]).unwrap();
        assert_eq!(host.logged, [(4, b"one".to_vec()), (22, b"two".to_vec())]);
        assert!(call("syslog", ["warn".into(), "x".into()]).is_err());
        assert!(call("syslog", [192.0.into(), "x".into()]).is_err());
        assert!(call("syslog", [(-1.0).into(), "x".into()]).is_err());
    }

    #[test]
    fn the_machine_has_a_name() {
        assert_eq!(text(call("gethostname", [])), "mx.example.net");
    }
}
