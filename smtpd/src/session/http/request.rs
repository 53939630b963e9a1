//! What the head of a request says: a submission that may come in, or the answer that it gets instead.

use hooks::Submission;
use net::http::multipart;
use net::http::server::{Framing, RequestHead};

use super::answer::Answer;
use crate::api_key;

/// The only thing that there is.
const PATH: &str = "/v1/submission";

/// A submission whose body may come in.
#[derive(Debug)]
pub(super) struct Welcome {
    pub(super) framing: Framing,
    /// What divides the parts of the body.
    pub(super) boundary: Vec<u8>,
    /// The answer is for people to read.
    pub(super) pretty: bool,
}

/// What is not let in.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) answer: Answer,
    /// The key was none of the server's.
    pub(super) wrong_key: bool,
}

/// Looks at a head. `keys`: what opens the server, empty for everyone; `body_bytes_max`: what a body may take.
pub(super) fn judge(head: &RequestHead, keys: &[String], body_bytes_max: u64) -> Result<Welcome, Refused> {
    let refuse = |status, text: &str| {
        Err(Refused { answer: Answer::error(status, text, is_pretty(&head.query)), wrong_key: false })
    };
    let key = head.header("x-api-key");
    if !keys.is_empty() && !key.is_some_and(|key| api_key::is_one_of(keys, key)) {
        let text = match key {
            None => "the header X-API-Key is missing",
            Some(_) => "the key in X-API-Key is none of this server's",
        };
        return refuse(401, text).map_err(|refused| Refused { wrong_key: key.is_some(), ..refused });
    }
    // A page from anywhere can have a browser on this host send a form. It cannot have it send the header of a key.
    if keys.is_empty() && head.header("origin").is_some() {
        return refuse(403, "a page in a browser cannot submit where there are no apikeys");
    }
    if head.path != PATH {
        return refuse(404, "there is nothing but /v1/submission");
    }
    if head.method != "POST" {
        return refuse(405, "only POST");
    }
    if head.header("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return refuse(415, "no Content-Encoding: send the parts options.gzip and rfc822.gzip");
    }
    let Some(boundary) = head.header("content-type").and_then(multipart::boundary) else {
        return refuse(415, "the Content-Type must be multipart/form-data with a boundary");
    };
    let framing = match head.framing() {
        Ok(Some(framing)) => framing,
        Ok(None) => return refuse(411, "neither Content-Length nor Transfer-Encoding: chunked"),
        Err(bad) => return refuse(bad.status(), &bad.to_string()),
    };
    if matches!(framing, Framing::Length(bytes) if bytes > body_bytes_max) {
        return refuse(413, "the message is too large");
    }
    Ok(Welcome { framing, boundary, pretty: is_pretty(&head.query) })
}

/// `?pretty=true`.
pub(super) fn is_pretty(query: &str) -> bool {
    query.split('&').any(|parameter| parameter == "pretty=true")
}

/// What scripts see of a request.
pub(super) fn shown(head: RequestHead) -> Submission {
    let RequestHead { method, path, query, headers, .. } = head;
    Submission { metadata: None, method, path, query, headers }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &str, fields: &str) -> u16 {
        let text = format!("{request} HTTP/1.1\r\n{fields}\r\n");
        let (head, _) = RequestHead::parse(text.as_bytes()).expect("a request").expect("whole");
        match judge(&head, &["secret".to_owned()], 1000) {
            Ok(_) => 200,
            Err(refused) => {
                assert_eq!(refused.wrong_key, fields.contains("X-API-Key: wrong"), "{request} {fields}");
                refused.answer.status
            }
        }
    }

    #[test]
    fn what_is_no_submission_is_refused_before_its_body_comes() {
        let key = "X-API-Key: secret\r\n";
        let form = "Content-Type: multipart/form-data; boundary=x\r\n";
        let length = "Content-Length: 1000\r\n";
        let good = [key, form, length].concat();
        let cases = [
            ("POST /v1/submission", good.clone(), 200),
            ("POST /v1/submission?pretty=true", good.clone(), 200),
            ("POST /v1/submission", [key, form, "Transfer-Encoding: chunked\r\n"].concat(), 200),
            ("POST /v1/submission", [form, length].concat(), 401),
            ("POST /v1/submission", ["X-API-Key: wrong\r\n", form, length].concat(), 401),
            ("GET /other", length.to_owned(), 401),
            ("POST /", good.clone(), 404),
            ("POST /v1/submission/", good.clone(), 404),
            ("GET /v1/submission", good.clone(), 405),
            ("POST /v1/submission", [key, form].concat(), 411),
            ("POST /v1/submission", [key, form, "Content-Length: 1001\r\n"].concat(), 413),
            ("POST /v1/submission", [key, length].concat(), 415),
            ("POST /v1/submission", [key, length, "Content-Type: multipart/form-data\r\n"].concat(), 415),
            ("POST /v1/submission", [key, length, "Content-Type: application/json\r\n"].concat(), 415),
            ("POST /v1/submission", [&good, "Content-Encoding: gzip\r\n"].concat(), 415),
            ("POST /v1/submission", [key, form, "Content-Length: x\r\n"].concat(), 400),
            ("POST /v1/submission", [&good, "Transfer-Encoding: chunked\r\n"].concat(), 400),
            ("POST /v1/submission", [key, form, "Transfer-Encoding: gzip\r\n"].concat(), 501),
        ];
        for (request, fields, status) in cases {
            assert_eq!(ask(request, &fields), status, "{request} {fields}");
        }
    }

    #[test]
    fn a_server_without_keys_is_open() {
        let text = b"POST /v1/submission HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1\r\n\r\n";
        let (head, _) = RequestHead::parse(text).expect("a request").expect("whole");
        assert!(judge(&head, &[], 1000).is_ok());
    }

    #[test]
    fn a_page_in_a_browser_cannot_submit_to_a_server_without_keys() {
        let text =
            b"POST /v1/submission HTTP/1.1\r\nOrigin: https://page.example\r\nX-API-Key: secret\r\n\r\n";
        let (head, _) = RequestHead::parse(text).expect("a request").expect("whole");
        let status =
            |keys: &[String]| judge(&head, keys, 1000).map(|_| ()).expect_err("no form").answer.status;
        assert_eq!((status(&[]), status(&["secret".to_owned()])), (403, 415));
    }
}
