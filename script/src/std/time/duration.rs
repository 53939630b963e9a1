//! `strpduration`: texts such as `1h30m`.

/// Seconds of a sum of parts, each a decimal number with the unit `d`, `h`, `m` or `s`; none for anything else.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let number: f64 = std::str::from_utf8(&rest[..length]).ok()?.parse().ok()?;
        let unit = match rest.get(length)? {
            b'd' => 86_400.0,
            b'h' => 3_600.0,
            b'm' => 60.0,
            b's' => 1.0,
            _ => return None,
        };
        seconds += number * unit;
        rest = &rest[length + 1..];
    }
    (!text.is_empty() && f64::is_finite(seconds)).then_some(seconds)
}
