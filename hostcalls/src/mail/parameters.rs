//! What scripts say of ESMTP parameters: the option `dsn` of `queue` and `Try`, and `params` of an address object (reference:
//! hooks 2.2, 3.8.1, 4.1.1).

use net::smtp::parameters::{EnvelopeId, MailParameters, Notify, OriginalRecipient, RcptParameters, Ret};
use script::value::{Array, Value};

use crate::limits;

/// Parameters of MAIL and RCPT that a script gives; the others are as they came with the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenParameters {
    /// NOTIFY.
    pub notify: Given<Notify>,
    /// ORCPT.
    pub original_recipient: Given<OriginalRecipient>,
    /// RET.
    pub ret: Given<Ret>,
    /// ENVID.
    pub envelope_id: Given<EnvelopeId>,
    /// SMTPUTF8 is said.
    pub smtp_utf8: bool,
    /// REQUIRETLS is said.
    pub require_tls: bool,
}

/// What a script says of one parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// Nothing: it is as it came.
    #[default]
    AsItCame,
    /// It is left out, whatever came.
    LeftOut,
    /// It is this.
    This(T),
}

impl<T: Clone> Given<T> {
    /// The value over the one that came.
    pub fn over(&self, came: Option<T>) -> Option<T> {
        match self {
            Given::AsItCame => came,
            Given::LeftOut => None,
            Given::This(value) => Some(value.clone()),
        }
    }
}

impl GivenParameters {
    /// Reads `envid`, `ret`, `notify` (a list, or its parts joined by commas) and `orcpt`, each as in the command. An empty
    /// value leaves the parameter out; other keys are not looked at.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn of_dsn(array: &Array) -> Result<GivenParameters, String> {
        let mut given = GivenParameters::default();
        for key in ["envid", "ret", "notify", "orcpt"] {
            if let Some(value) = array.get_str(key) {
                given.read(key, &value)?;
            }
        }
        Ok(given)
    }

    /// Reads `params` of an address object, in any letter case: what [`of_dsn`](Self::of_dsn) reads, SMTPUTF8 and REQUIRETLS.
    /// Others are not looked at: SIZE and BODY follow from the message.
    ///
    /// # Errors
    /// A sentence that names the parameter.
    pub fn of_address(address: &Value) -> Result<GivenParameters, String> {
        let params = address.as_array().and_then(|address| address.get_str("params"));
        let params = match params {
            None | Some(Value::None) => return Ok(GivenParameters::default()),
            Some(Value::Array(params)) if params.len() <= limits::ADDRESS_PARAMETERS => params,
            Some(Value::Array(params)) => {
                let (most, are) = (limits::ADDRESS_PARAMETERS, params.len());
                return Err(format!("params has {are} items, at most {most}"));
            }
            Some(other) => return Err(format!("params is a {}", other.type_name())),
        };
        let mut given = GivenParameters::default();
        for (key, value) in params.iter() {
            let Ok(key) = key.into_value().to_text() else { continue };
            given.read(&key.to_string_lossy().to_ascii_lowercase(), &value)?;
        }
        Ok(given)
    }

    fn read(&mut self, key: &str, value: &Value) -> Result<(), String> {
        let text = match value {
            Value::None => return Ok(()),
            Value::Str(text) => text.as_bytes().to_vec(),
            Value::Array(list) if key == "notify" => joined(list)?,
            _ if !KEYS.contains(&key) => return Ok(()),
            other => return Err(format!("{key} is a {}", other.type_name())),
        };
        match key {
            "envid" => {
                self.envelope_id = parsed(key, &text, EnvelopeId::parse, "xtext of at most 100 bytes")?
            }
            "ret" => self.ret = parsed(key, &text, Ret::parse, "FULL or HDRS")?,
            "notify" => {
                self.notify = parsed(key, &text, Notify::parse, "NEVER, or some of SUCCESS, FAILURE, DELAY")?;
            }
            "orcpt" => {
                let form = "a type and an address in xtext, as in rfc822;jo@example.org";
                self.original_recipient = parsed(key, &text, OriginalRecipient::parse, form)?;
            }
            "smtputf8" => self.smtp_utf8 = true,
            "requiretls" => self.require_tls = true,
            _ => {}
        }
        Ok(())
    }

    /// These first, and where they say nothing `others`.
    pub fn or(self, others: GivenParameters) -> GivenParameters {
        fn or<T>(first: Given<T>, other: Given<T>) -> Given<T> {
            if let Given::AsItCame = first { other } else { first }
        }
        GivenParameters {
            notify: or(self.notify, others.notify),
            original_recipient: or(self.original_recipient, others.original_recipient),
            ret: or(self.ret, others.ret),
            envelope_id: or(self.envelope_id, others.envelope_id),
            smtp_utf8: self.smtp_utf8 || others.smtp_utf8,
            require_tls: self.require_tls || others.require_tls,
        }
    }

    /// What MAIL says, where `came` came with the message.
    pub fn mail(&self, came: MailParameters) -> MailParameters {
        MailParameters {
            smtp_utf8: came.smtp_utf8 || self.smtp_utf8,
            require_tls: came.require_tls || self.require_tls,
            ret: self.ret.over(came.ret),
            envelope_id: self.envelope_id.over(came.envelope_id),
        }
    }

    /// What RCPT says, where `came` came with the message.
    pub fn rcpt(&self, came: RcptParameters) -> RcptParameters {
        RcptParameters {
            notify: self.notify.over(came.notify),
            original_recipient: self.original_recipient.over(came.original_recipient),
        }
    }
}

/// What is looked at in `params`.
const KEYS: [&str; 6] = ["envid", "ret", "notify", "orcpt", "smtputf8", "requiretls"];

/// Words with commas between them.
fn joined(list: &Array) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    for word in list.values().take(limits::ADDRESS_PARAMETERS) {
        let Value::Str(word) = word else {
            return Err(format!("notify has a {} in its list", word.type_name()));
        };
        if !text.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(word.as_bytes());
    }
    Ok(text)
}

fn parsed<T>(
    key: &str,
    text: &[u8],
    parse: impl Fn(&[u8]) -> Option<T>,
    form: &str,
) -> Result<Given<T>, String> {
    if text.is_empty() {
        return Ok(Given::LeftOut);
    }
    let refused = || format!("{key} is \"{}\", and must be {form}", text.escape_ascii());
    parse(text).map(Given::This).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(entries: &[(&str, Value)]) -> Array {
        let mut array = Array::new();
        for (key, value) in entries {
            array.set_str(key, value.clone());
        }
        array
    }

    fn address(params: &[(&str, Value)]) -> Value {
        array(&[("localpart", "a".into()), ("domain", "x.example".into()), ("params", array(params).into())])
            .into()
    }

    #[test]
    fn what_is_given_goes_over_what_came_and_what_is_empty_takes_it_away() {
        let list: Value = vec![Value::from("SUCCESS"), "delay".into()].into();
        let given = array(&[("notify", list), ("envid", "".into()), ("orcpt", "rfc822;b@x.example".into())]);
        let given = GivenParameters::of_dsn(&given).expect("it is all right");
        let came = MailParameters {
            ret: Some(Ret::Full),
            envelope_id: EnvelopeId::parse(b"e"),
            ..Default::default()
        };
        assert_eq!(given.mail(came), MailParameters { ret: Some(Ret::Full), ..Default::default() });
        let rcpt = given.rcpt(RcptParameters { notify: Some(Notify::NEVER), original_recipient: None });
        assert_eq!(rcpt.notify, Notify::parse(b"SUCCESS,DELAY"));
        assert_eq!(rcpt.original_recipient, OriginalRecipient::parse(b"rfc822;b@x.example"));
        let first = GivenParameters::of_dsn(&array(&[("notify", "NEVER".into())])).expect("so is this");
        assert_eq!(first.or(given).rcpt(RcptParameters::default()).notify, Some(Notify::NEVER));
    }

    #[test]
    fn what_no_command_could_say_is_refused() {
        for (key, value, why) in [
            ("notify", "FOO", "notify is \"FOO\", and must be NEVER, or some of"),
            ("notify", "NEVER,SUCCESS", "notify is \"NEVER,SUCCESS\""),
            ("ret", "HEADERS", "must be FULL or HDRS"),
            ("envid", "a b", "envid is \"a b\", and must be xtext"),
            ("envid", "a\r\nRCPT", "envid is \"a\\r\\nRCPT\""),
            ("orcpt", "jo@example.org", "as in rfc822;jo@example.org"),
        ] {
            let error = GivenParameters::of_dsn(&array(&[(key, value.into())])).expect_err(key);
            assert!(error.contains(why), "{error}");
            let of_address = GivenParameters::of_address(&address(&[(key, value.into())]));
            assert_eq!(of_address, Err(error));
        }
        let number = GivenParameters::of_dsn(&array(&[("ret", 5.into())]));
        assert_eq!(number, Err("ret is a number".to_owned()));
    }

    #[test]
    fn params_of_an_address_are_read_in_any_case_and_foreign_ones_ignored() {
        let params =
            [("RET", "hdrs".into()), ("SMTPUTF8", "".into()), ("SIZE", 5.into()), ("X", Value::None)];
        let given = GivenParameters::of_address(&address(&params)).expect("it is all right");
        assert_eq!(given.ret, Given::This(Ret::Headers));
        assert!(given.smtp_utf8 && !given.require_tls);
        assert_eq!(GivenParameters::of_address(&"a@x.example".into()), Ok(GivenParameters::default()));
        let many: Vec<(String, Value)> =
            (0..=limits::ADDRESS_PARAMETERS).map(|number| (format!("x{number}"), "".into())).collect();
        let many: Vec<(&str, Value)> = many.iter().map(|(key, value)| (&**key, value.clone())).collect();
        assert!(GivenParameters::of_address(&address(&many)).is_err());
    }
}
