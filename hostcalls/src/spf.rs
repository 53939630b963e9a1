//! `spf_query`: the state machine of the mail crate, fed by `dns_query`.

use std::net::IpAddr;

use mail::spf::{Answer, Check, Identity, Kind, Question, Step as Need};
use script::fault::Fault;
use script::host::{Host, HostCall};
use script::native::{Call, Native, NativeFrame, Next, Step};
use script::value::{Array, Value};

use crate::dns;
use crate::library::Family;

pub(crate) static FAMILY: Family = Family { natives: &[SPF_QUERY], ..Family::EMPTY };

const SPF_QUERY: Native = Native::frame(
    "spf_query",
    "string ip, string helo, string sender [, array options]",
    (3, Some(4)),
    "Whether a client may send for a domain (SPF, RFC 7208). The sender is an address or a domain; if it is empty the HELO \
     name counts. Options: timeout (5 seconds for each DNS query), servers. Returns an array with result (pass, fail, \
     softfail, neutral, none, temperror or permerror; invalid if ip is no address) and, as far as there is one, reason: what \
     the domain says to those that it refuses, or what is wrong.",
    start,
);

fn start(call: &mut Call<'_>) -> Result<Step, Fault> {
    let options = call.options(3)?;
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (ip, helo, sender) = (lossy(call.bytes(0)?), lossy(call.bytes(1)?), lossy(call.bytes(2)?));
    let (timeout_s, servers) = (options.number("timeout")?, options.array("servers")?);
    let Ok(ip) = ip.trim_matches(['[', ']']).parse::<IpAddr>() else {
        return Ok(Step::Return(result("invalid", Some("the address is none"))));
    };
    let (receiver, now) = (call.host().hostname(), call.host().now().max(0.0) as u64);
    let check = Check::new(Identity { ip, helo, sender, receiver, now });
    let mut frame = Frame { check, timeout_s, servers };
    Ok(frame.next().first(frame))
}

struct Frame {
    check: Check,
    timeout_s: Option<f64>,
    servers: Option<Array>,
}

impl Frame {
    fn next(&mut self) -> Next {
        match self.check.step() {
            Need::Done(outcome) => Next::Return(result(outcome.result.name(), outcome.reason.as_deref())),
            Need::Ask(question) => Next::Host(self.query(&question)),
        }
    }

    fn query(&self, question: &Question) -> HostCall {
        let mut options = Array::new();
        options.set_str(
            "type",
            match question.kind {
                Kind::Txt => "txt",
                Kind::A => "a",
                Kind::Aaaa => "aaaa",
                Kind::Mx => "mx",
                Kind::Ptr => "ptr",
            },
        );
        if let Some(timeout_s) = self.timeout_s {
            options.set_str("timeout", timeout_s);
        }
        if let Some(servers) = &self.servers {
            options.set_str("servers", servers.clone());
        }
        let args = vec![question.name.as_str().into(), options.into()];
        HostCall { function: dns::QUERY, name: "spf_query", this: None, args }
    }
}

impl NativeFrame for Frame {
    fn resume(&mut self, reply: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        self.check.answer(answer(&reply));
        Ok(self.next())
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        if let Some(servers) = &self.servers {
            visit(&servers.clone().into());
        }
    }
}

/// What `dns_query` returned. An answer that makes no sense is none (RFC 7208, section 2.6.6).
fn answer(reply: &Value) -> Answer {
    let get = |key| reply.as_array().and_then(|array| array.get_str(key));
    if let Some(Value::Array(list)) = get("result") {
        let text = |value: Value| value.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        return Answer::Records(list.values().filter_map(text).collect());
    }
    match get("error").as_ref().and_then(Value::as_bytes) {
        Some(b"NXDOMAIN" | b"NO_DATA") => Answer::Nothing,
        _ => Answer::Temporary,
    }
}

fn result(name: &str, reason: Option<&str>) -> Value {
    let mut array = Array::new();
    array.set_str("result", name);
    if let Some(reason) = reason {
        array.set_str("reason", reason);
    }
    array.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, call};

    /// Calls `spf_query` with a DNS that knows these texts; everything else does not exist, `slow.test` does not answer,
    /// `garbled.test` with nonsense.
    fn query(args: &[&str], texts: &[(&str, &str)]) -> String {
        let mut asked = Vec::new();
        let mut answer = |call: HostCall| {
            let name = call.args[0].as_bytes().unwrap().to_vec();
            let options = call.args[1].as_array().unwrap();
            asked.push((name.clone(), options.get_str("type").unwrap().as_bytes().unwrap().to_vec()));
            let found: Vec<Value> = texts
                .iter()
                .filter(|(known, _)| known.as_bytes() == name)
                .map(|(_, text)| (*text).into())
                .collect();
            let mut reply = Array::new();
            match name.as_slice() {
                b"slow.test" => reply.set_str("error", "TRY_AGAIN"),
                b"garbled.test" => reply.set_str("error", "NO_RECOVERY"),
                _ if found.is_empty() => reply.set_str("error", "NXDOMAIN"),
                _ => reply.set_str("result", found),
            }
            Ok(reply.into())
        };
        let mut world = World {
            now: 0.0,
            answer: &mut answer,
            script: &mut |_| panic!("calls a function of the script"),
        };
        let args: Vec<Value> = args.iter().map(|arg| (*arg).into()).collect();
        let value = call(&mut world, &SPF_QUERY, None, &args).unwrap();
        value.to_text().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn the_dns_decides() {
        let texts = [
            ("ok.test", "v=spf1 ip4:192.0.2.1 a:mail.ok.test -all exp=why.ok.test"),
            ("mail.ok.test", "192.0.2.2"),
            ("why.ok.test", "%{i} is not welcome at %{r}"),
        ];
        let from = |ip| query(&[ip, "helo.test", "joe@ok.test"], &texts);
        assert_eq!(from("192.0.2.1"), r#"["result"=>"pass"]"#);
        assert_eq!(from("192.0.2.2"), r#"["result"=>"pass"]"#);
        assert_eq!(
            from("192.0.2.3"),
            r#"["result"=>"fail","reason"=>"192.0.2.3 is not welcome at test.example"]"#
        );
        assert_eq!(query(&["192.0.2.1", "h.test", "ok.test"], &texts), r#"["result"=>"pass"]"#);
        assert_eq!(query(&["192.0.2.1", "ok.test", ""], &texts), r#"["result"=>"pass"]"#);
        assert_eq!(query(&["192.0.2.1", "h.test", "joe@other.test"], &texts), r#"["result"=>"none"]"#);
    }

    /// Of the record itself, and of what it names: not a missing record, nor a host without addresses.
    #[test]
    fn a_garbled_answer_is_a_temporary_error() {
        let expected = r#"["result"=>"temperror","reason"=>"the DNS gave no answer about garbled.test"]"#;
        let texts = [("a.test", "v=spf1 a:garbled.test -all")];
        assert_eq!(query(&["192.0.2.1", "h.test", "joe@garbled.test"], &[]), expected);
        assert_eq!(query(&["192.0.2.1", "h.test", "joe@a.test"], &texts), expected);
    }

    #[test]
    fn what_goes_wrong_has_a_reason() {
        assert_eq!(
            query(&["192.0.2.1", "h.test", "joe@slow.test"], &[]),
            r#"["result"=>"temperror","reason"=>"the DNS gave no answer about slow.test"]"#
        );
        assert_eq!(
            query(&["192.0.2.1", "h.test", "joe@a.test"], &[("a.test", "v=spf1 nonsense")]),
            r#"["result"=>"permerror","reason"=>"a.test has a wrong term: nonsense"]"#
        );
        assert_eq!(
            query(&["nobody", "h.test", "a.test"], &[]),
            r#"["result"=>"invalid","reason"=>"the address is none"]"#
        );
    }
}
