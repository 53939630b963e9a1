//! Which answer a request gets.

use net::http::server::{RequestHead, response_head};

use crate::api_key;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Ready,
    Healthy,
    Metrics,
    /// Nothing that there is, or that it may have: this answer.
    Nothing(Answer),
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) media_type: &'static str,
    pub(super) body: String,
    /// Say which methods there are.
    pub(super) allow: bool,
}

impl Answer {
    /// A line of text.
    pub(super) fn text(status: u16, text: &str) -> Answer {
        Answer {
            status,
            media_type: "text/plain; charset=utf-8",
            body: format!("{text}\n"),
            allow: status == 405,
        }
    }

    /// Head and body; the head alone for HEAD.
    pub(super) fn encode(&self, keep_alive: bool, with_body: bool) -> String {
        let mut headers = vec![("Content-Type", self.media_type), ("Cache-Control", "no-store")];
        if self.allow {
            headers.push(("Allow", "GET, HEAD"));
        }
        let mut out = response_head(self.status, &headers, self.body.len(), keep_alive);
        if with_body {
            out.push_str(&self.body);
        }
        out
    }
}

/// What is asked for. `keys`: what opens `/metrics`, empty for nothing; `None` while they are not known yet.
pub(super) fn route(head: &RequestHead, keys: Option<&[String]>) -> Wanted {
    let refuse = |status, text| Wanted::Nothing(Answer::text(status, text));
    let wanted = match head.path.as_str() {
        "/ready" => Wanted::Ready,
        "/healthy" => Wanted::Healthy,
        "/metrics" => Wanted::Metrics,
        _ => return refuse(404, "there are /metrics, /ready and /healthy"),
    };
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return refuse(405, "only GET and HEAD");
    }
    if wanted != Wanted::Metrics {
        return wanted;
    }
    let Some(keys) = keys else { return refuse(503, "starting") };
    match head.header("x-api-key") {
        _ if keys.is_empty() => wanted,
        None => refuse(401, "the header X-API-Key is missing"),
        Some(key) if api_key::is_one_of(keys, key) => wanted,
        Some(_) => refuse(403, "the key in X-API-Key is none of this server's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, key: Option<&str>, keys: Option<&[String]>) -> u16 {
        let key = key.map(|key| format!("X-Api-Key: {key}\r\n")).unwrap_or_default();
        let text = format!("{method} {path} HTTP/1.1\r\n{key}\r\n");
        let (head, _) = RequestHead::parse(text.as_bytes()).expect("a request").expect("whole");
        match route(&head, keys) {
            Wanted::Nothing(answer) => answer.status,
            _ => 200,
        }
    }

    #[test]
    fn only_metrics_want_a_key_and_what_is_not_there_is_said() {
        let keys = ["one".to_owned(), "two".to_owned()];
        let keys = Some(&keys[..]);
        let cases = [
            ("GET", "/metrics", Some("two"), keys, 200),
            ("HEAD", "/metrics?x", Some("one"), keys, 200),
            ("GET", "/metrics", None, keys, 401),
            ("GET", "/metrics", Some("three"), keys, 403),
            ("GET", "/metrics", Some("on"), keys, 403),
            ("GET", "/metrics", None, Some(&[][..]), 200),
            ("GET", "/metrics", None, None, 503),
            ("GET", "/ready", None, keys, 200),
            ("GET", "/healthy", None, None, 200),
            ("POST", "/metrics", Some("one"), keys, 405),
            ("DELETE", "/healthy", None, keys, 405),
            ("GET", "/", None, keys, 404),
            ("GET", "/metrics/x", Some("one"), keys, 404),
        ];
        for (method, path, key, keys, status) in cases {
            assert_eq!(ask(method, path, key, keys), status, "{method} {path} {key:?}");
        }
    }
}
