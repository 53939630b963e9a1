//! What a client is answered: a status, and JSON (reference: cli-and-operations 7.3).

use net::http::server::response_head;
use net::smtp::error::{Error, LocalLimit};
use net::smtp::reply::Reply;
use serde::Serialize;
use serde_json::value::RawValue;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    body: String,
}

/// What became of a message.
#[derive(Serialize)]
struct Decided<'a> {
    result: Outcome<'a>,
    transaction: Transaction<'a>,
    /// As the client sent it; `null` where it sent none.
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    code: u16,
    /// Empty where the reply has none.
    enhanced: Vec<u16>,
    reason: Vec<std::borrow::Cow<'a, str>>,
}

#[derive(Serialize)]
struct Transaction<'a> {
    id: &'a str,
}

/// A request that is no submission.
#[derive(Serialize)]
struct Failed<'a> {
    error: &'a str,
}

impl Answer {
    /// The reply to a message, as SMTP would have given it.
    pub(super) fn decided(reply: &Reply, id: &str, metadata: Option<&RawValue>, pretty: bool) -> Answer {
        let enhanced = reply.enhanced();
        let enhanced = enhanced.map(|code| vec![u16::from(code.class), code.subject, code.detail]);
        let result = Outcome {
            code: reply.code(),
            enhanced: enhanced.unwrap_or_default(),
            reason: reply.lines().map(String::from_utf8_lossy).collect(),
        };
        let decided = Decided { result, transaction: Transaction { id }, metadata };
        Answer::json(status_of(reply.code()), &decided, pretty)
    }

    /// The reply to a message that the server itself does not take.
    pub(super) fn refused(error: Error, id: &str, metadata: Option<&RawValue>, pretty: bool) -> Answer {
        let reply = Reply::new(error.code(), Some(error.enhanced()), error.text());
        let answer = Answer::decided(&reply, id, metadata, pretty);
        match error {
            Error::LocalLimit(LocalLimit::MessageTooLarge | LocalLimit::HeaderTooLarge) => {
                Answer { status: 413, ..answer }
            }
            _ => answer,
        }
    }

    /// There was no message to decide about.
    pub(super) fn error(status: u16, error: &str, pretty: bool) -> Answer {
        Answer::json(status, &Failed { error }, pretty)
    }

    fn json(status: u16, value: &impl Serialize, pretty: bool) -> Answer {
        let body = serde_json::to_string(value).expect("strings, numbers and JSON are JSON");
        Answer { status, body: if pretty { laid_out(&body) } else { body + "\n" } }
    }

    /// Head and body; the head alone as the answer to HEAD.
    pub(super) fn encode(&self, keep_alive: bool, with_body: bool) -> String {
        let mut headers = vec![("Content-Type", "application/json"), ("Cache-Control", "no-store")];
        if self.status == 405 {
            headers.push(("Allow", "POST"));
        }
        let mut out = response_head(self.status, &headers, self.body.len(), keep_alive);
        if with_body {
            out.push_str(&self.body);
        }
        out
    }
}

/// The status that goes with a reply; the reference leaves it open. 200 says what a 250 says: the message is safe. 503, as 4xx
/// of SMTP: try again. 422, as 5xx: it will not be taken as it is.
fn status_of(code: u16) -> u16 {
    match code / 100 {
        2 => 200,
        4 => 503,
        _ => 422,
    }
}

/// JSON over several lines. What is in it is as it was: metadata keeps its order and its numbers.
fn laid_out(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut chars) = (0usize, json.chars().peekable());
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(char) = chars.next() {
        match char {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => {
                out.push('"');
                while let Some(char) = chars.next() {
                    out.push(char);
                    match char {
                        '\\' => out.extend(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(char);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(char);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use net::smtp::error::{PeerMisbehaved, Storage};
    use net::smtp::reply::EnhancedCode;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_the_documented_form() {
        let reply = Reply::new(250, Some(EnhancedCode { class: 2, subject: 0, detail: 0 }), "Ok\nsecond");
        let metadata: &RawValue = serde_json::from_str("{ \"z\": 1.50, \"a\": [] }").expect("JSON");
        let answer = Answer::decided(&reply, "id-1", Some(metadata), false);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.body,
            "{\"result\":{\"code\":250,\"enhanced\":[2,0,0],\"reason\":[\"Ok\",\"second\"]},\
             \"transaction\":{\"id\":\"id-1\"},\"metadata\":{ \"z\": 1.50, \"a\": [] }}\n"
        );
        let pretty = Answer::decided(&reply, "id-1", Some(metadata), true).body;
        assert!(pretty.ends_with("  \"metadata\": {\n    \"z\": 1.50,\n    \"a\": []\n  }\n}\n"), "{pretty}");
        let bare = Answer::decided(&Reply::new(550, None, "no"), "x", None, false);
        assert!(bare.body.contains("\"enhanced\":[]") && bare.body.contains("\"metadata\":null"), "{bare:?}");
    }

    #[test]
    fn the_status_says_whether_to_come_again() {
        let refused = |error: Error| Answer::refused(error, "x", None, false).status;
        assert_eq!(Answer::decided(&Reply::new(550, None, "no"), "x", None, false).status, 422);
        assert_eq!(Answer::decided(&Reply::new(421, None, "later"), "x", None, false).status, 503);
        assert_eq!(refused(Storage::Full.into()), 503);
        assert_eq!(refused(PeerMisbehaved::BareLineFeed.into()), 422);
        assert_eq!(refused(LocalLimit::MessageTooLarge.into()), 413);
        assert!(Answer::error(405, "only POST", false).encode(true, true).contains("\r\nAllow: POST\r\n"));
    }

    #[test]
    fn what_is_laid_out_is_the_same_json() {
        for value in [
            json!({"a": [], "b": {}, "c": [[1, 2], {"d": "x, {y}: \"[z]\" \\"}], "e": null}),
            json!([]),
            json!("a \"b\" \\"),
            json!(-1.5e300),
        ] {
            let text = laid_out(&value.to_string());
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
            assert_eq!(text, serde_json::to_string_pretty(&value).expect("JSON") + "\n");
        }
    }
}
