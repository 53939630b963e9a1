//! The part `options` of a submission: who sends to whom, and what the client puts beside the message.

use std::io::Read as _;

use flate2::read::GzDecoder;
use hostcalls::address;
use net::smtp::address::Address;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits;

/// What the part says.
#[derive(Debug)]
pub(super) struct Options {
    /// `None`: the null sender.
    pub(super) sender: Option<Address>,
    /// At least one.
    pub(super) recipients: Vec<Address>,
    /// As it was written.
    pub(super) metadata: Option<Box<RawValue>>,
}

/// The part as it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    pub(super) is_gzip: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sender: Parts,
    recipients: Vec<Parts>,
    #[serde(default)]
    metadata: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    localpart: String,
    domain: String,
}

/// Reads the part. `recipients_max`: what the server takes at once.
///
/// # Errors
/// What is wrong with it, for the client.
pub(super) fn read(packed: &Packed, recipients_max: u32) -> Result<Options, String> {
    let unpacked;
    let json = match packed.is_gzip {
        false => &packed.bytes,
        true => {
            unpacked = unpack(&packed.bytes)?;
            &unpacked
        }
    };
    let written: Written = serde_json::from_slice(json).map_err(|error| format!("options: {error}"))?;
    match written.recipients.len() {
        0 => return Err("options: recipients is empty".to_owned()),
        many if many as u64 > u64::from(recipients_max) => {
            return Err(format!("options: more than {recipients_max} recipients"));
        }
        _ => {}
    }
    let sender = address::from_parts(&written.sender.localpart, &written.sender.domain)
        .map_err(|why| format!("options: sender: {why}"))?;
    let recipient = |(index, parts): (usize, &Parts)| {
        let address = address::from_parts(&parts.localpart, &parts.domain);
        let address = address.and_then(|address| address.ok_or_else(|| "it is empty".to_owned()));
        address.map_err(|why| format!("options: recipients[{index}]: {why}"))
    };
    let recipients = written.recipients.iter().enumerate().map(recipient).collect::<Result<_, _>>()?;
    let metadata = written.metadata;
    if let Some(metadata) = &metadata {
        check_metadata(metadata.get())?;
    }
    Ok(Options { sender, recipients, metadata })
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (mut out, most) = (Vec::new(), limits::SUBMISSION_OPTIONS_BYTES);
    let mut reader = GzDecoder::new(bytes).take(most as u64 + 1);
    reader.read_to_end(&mut out).map_err(|error| format!("options.gzip: {error}"))?;
    match out.len() > most {
        true => Err(format!("options.gzip: more than {most} bytes")),
        false => Ok(out),
    }
}

/// It becomes a value of a script, and goes back to the client.
fn check_metadata(json: &str) -> Result<(), String> {
    if json.len() > limits::SUBMISSION_METADATA_BYTES {
        return Err(format!("options: metadata: more than {} bytes", limits::SUBMISSION_METADATA_BYTES));
    }
    if depth(json) > limits::SUBMISSION_METADATA_DEPTH {
        let most = limits::SUBMISSION_METADATA_DEPTH;
        return Err(format!("options: metadata: nested more than {most} levels deep"));
    }
    Ok(())
}

/// How deep JSON is nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut bytes) = (0usize, 0, json.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const JO: &str = r#"{"localpart": "jo", "domain": "example.com"}"#;

    fn plain(json: &str) -> Result<Options, String> {
        read(&Packed { bytes: json.as_bytes().to_vec(), is_gzip: false }, 3)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("to memory");
        encoder.finish().expect("to memory")
    }

    #[test]
    fn options_say_who_sends_to_whom() {
        let text = format!(
            r#"{{"sender": {JO}, "recipients": [{{"localpart": "two words", "domain": "bücher.example"}}],
                "metadata": {{"z": 1.50, "a": [null]}}}}"#
        );
        for packed in [
            Packed { bytes: text.clone().into_bytes(), is_gzip: false },
            Packed { bytes: gzip(text.as_bytes()), is_gzip: true },
        ] {
            let options = read(&packed, 3).expect("well-formed");
            assert_eq!(options.sender.expect("not null").as_bytes(), b"jo@example.com");
            assert_eq!(options.recipients[0].as_bytes(), b"\"two words\"@xn--bcher-kva.example");
            assert_eq!(options.metadata.expect("some").get(), r#"{"z": 1.50, "a": [null]}"#);
        }
        let null = plain(&format!(
            r#"{{"sender": {{"localpart": "", "domain": ""}}, "recipients": [{JO}], "metadata": null}}"#
        ))
        .expect("well-formed");
        assert!(null.sender.is_none() && null.metadata.is_none());
    }

    #[test]
    fn what_is_wrong_with_options_is_said() {
        let with = |recipients: &str, more: &str| {
            format!(r#"{{"sender": {JO}, "recipients": [{recipients}]{more}}}"#)
        };
        let deep = |levels: usize| format!(r#", "metadata": {}{}"#, "[".repeat(levels), "]".repeat(levels));
        let most = limits::SUBMISSION_METADATA_DEPTH;
        assert!(plain(&with(JO, &deep(most))).is_ok());
        assert!(plain(&with(JO, r#", "metadata": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[""#)).is_ok());
        let long = format!(r#", "metadata": "{}""#, "x".repeat(limits::SUBMISSION_METADATA_BYTES));
        let injected = r#"{"localpart": "a\r\nDATA", "domain": "x.example"}"#;
        let cases = [
            ("".to_owned(), "options: EOF while parsing"),
            ("[]".to_owned(), "options: invalid length 0"),
            ("{}".to_owned(), "options: missing field `sender`"),
            (format!(r#"{{"sender": {JO}}}"#), "options: missing field `recipients`"),
            (with("", ""), "options: recipients is empty"),
            (with(&[JO; 4].join(","), ""), "options: more than 3 recipients"),
            (with(JO, r#", "priority": 1"#), "options: unknown field `priority`"),
            (with(JO, &format!(r#", "sender": {JO}"#)), "options: duplicate field `sender`"),
            (with(r#""jo@example.com""#, ""), "options: invalid type: string"),
            (with(r#"{"localpart": "jo"}"#, ""), "options: missing field `domain`"),
            (with(r#"{"localpart": "", "domain": ""}"#, ""), "options: recipients[0]: it is empty"),
            (
                with(&format!(r#"{JO}, {{"localpart": "", "domain": "x"}}"#), ""),
                "options: recipients[1]: the local part is empty",
            ),
            (with(injected, ""), "options: recipients[0]: \""),
            (with(JO, &deep(most + 1)), "options: metadata: nested more than 32 levels deep"),
            (with(JO, &deep(100_000)), "options: metadata: "),
            (with(JO, &long), "options: metadata: more than 65536 bytes"),
            (with(JO, "") + "x", "options: trailing characters"),
        ];
        for (json, expected) in cases {
            let found = plain(&json).map(|_| ()).expect_err(&json);
            assert!(found.starts_with(expected), "{json:.200}: {found}");
        }
    }

    #[test]
    fn packed_options_cannot_take_more_memory_than_plain_ones() {
        let bomb = gzip(&vec![b' '; limits::SUBMISSION_OPTIONS_BYTES * 100]);
        assert!(bomb.len() < limits::SUBMISSION_OPTIONS_BYTES);
        let packed = |bytes: &[u8]| read(&Packed { bytes: bytes.to_vec(), is_gzip: true }, 3).map(|_| ());
        assert!(packed(&bomb).expect_err("a bomb").starts_with("options.gzip: more than "));
        assert!(packed(&bomb[..bomb.len() - 9]).is_err());
        assert!(packed(b"{}").expect_err("no gzip").starts_with("options.gzip: "));
        assert!(packed(&gzip(b"{}")[..8]).expect_err("cut").starts_with("options.gzip: "));
    }
}
