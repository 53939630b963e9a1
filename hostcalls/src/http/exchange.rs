//! Requests and responses, over as many connections as there are redirects.

use std::rc::Rc;

use bytes::Bytes;
use engine::time::timeout;
use jiff::Timestamp;
use net::http::{Length, Progress, Reader, Request, Response, Url};

use super::connect::{connect, credentials, or_for_ever, proxy};
use super::options::HttpOptions;
use crate::Execution;

/// Why there is no response.
#[derive(Debug)]
pub(super) enum Failed {
    /// The request cannot be made as asked.
    Request,
    /// No connection, or it broke.
    Connection,
    /// What came is not HTTP, or too much of it.
    Response,
    /// It took too long.
    Timeout,
}

impl Failed {
    /// For people.
    pub(super) fn text(&self) -> &'static str {
        match self {
            Failed::Request => "the request cannot be made as asked",
            Failed::Connection => "no connection, or it broke",
            Failed::Response => "what came is no HTTP response, or too much of it",
            Failed::Timeout => "it took too long",
        }
    }
}

/// The body of a request.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) body: Bytes,
}

/// A call of `http`.
pub(super) struct Asked {
    pub(super) url: Vec<u8>,
    pub(super) options: HttpOptions,
    pub(super) post: Option<Post>,
}

/// Makes the request, and follows redirects as far as permitted; the response is the last one, a redirect where it leads on.
pub(super) async fn run(execution: &Rc<Execution>, asked: Asked) -> Result<Response, Failed> {
    let patience = or_for_ever(asked.options.timeout);
    timeout(patience, follow(execution, asked)).await.unwrap_or(Err(Failed::Timeout))
}

async fn follow(execution: &Rc<Execution>, asked: Asked) -> Result<Response, Failed> {
    let Asked { url, mut options, mut post } = asked;
    let mut url = Url::parse(&url).map_err(|_| Failed::Request)?;
    let given = options.method.clone();
    let mut method = given.unwrap_or_else(|| if post.is_some() { "POST" } else { "GET" }.into());
    let mut redirects = 0;
    loop {
        if !is_http(&url) {
            return Err(Failed::Request);
        }
        let response = once(execution, &url, &method, post.as_ref(), &options).await?;
        let location = match response.status {
            301 | 302 | 303 | 307 | 308 if redirects < options.redirects => response.header("location"),
            _ => None,
        };
        let next = location.and_then(|location| url.join(location).ok()).filter(is_http);
        let Some(next) = next else { return Ok(response) };
        redirects += 1;
        let same_server = (&next.scheme, &next.host, next.port_or_default())
            == (&url.scheme, &url.host, url.port_or_default());
        if !same_server {
            // What is meant for one server is not told to another.
            let secret = |name: &[u8]| {
                [&b"authorization"[..], b"cookie"].iter().any(|it| name.eq_ignore_ascii_case(it))
            };
            options.headers.retain(|(name, _)| !secret(name));
            options.signer = None;
        }
        // RFC 9110 15.4: 303 is fetched; for 301 and 302, POST is by custom fetched, too.
        let fetch = match response.status {
            303 => method != "HEAD",
            301 | 302 => method == "POST",
            _ => false,
        };
        if fetch {
            method = "GET".into();
            post = None;
        }
        url = next;
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme.as_deref(), Some(b"http" | b"https"))
}

/// One request, one response.
async fn once(
    execution: &Rc<Execution>,
    url: &Url,
    method: &str,
    post: Option<&Post>,
    options: &HttpOptions,
) -> Result<Response, Failed> {
    let proxy = proxy(&execution.environment, options)?;
    let mut headers = options.headers.clone();
    let has = |headers: &[(Vec<u8>, Vec<u8>)], name: &[u8]| {
        headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    if let Some(value) = credentials(url)
        && !has(&headers, b"Authorization")
    {
        headers.push((b"Authorization".to_vec(), value));
    }
    if post.is_some() && !has(&headers, b"Content-Type") {
        headers.push((b"Content-Type".to_vec(), b"application/x-www-form-urlencoded".to_vec()));
    }
    if let Some(signer) = &options.signer {
        let body = post.map(|post| &post.body[..]).unwrap_or_default();
        let now = Timestamp::from_microsecond(engine::time::wall_us() as i64).map_err(|_| Failed::Request)?;
        signer.sign((method, url), &mut headers, body, now).ok_or(Failed::Request)?;
    }
    // Through a tunnel the request is as without a proxy.
    let to_proxy = proxy.is_some() && !url.is_https();
    if let Some(value) = proxy.as_ref().filter(|_| to_proxy).and_then(credentials) {
        headers.push((b"Proxy-Authorization".to_vec(), value));
    }
    let length = post.map_or(Length::None, |post| Length::Known(post.body.len() as u64));
    let request = Request { method, url, headers: &headers, length, to_proxy };
    let head = request.encode().map_err(|_| Failed::Request)?;
    let transport = connect(execution, url, proxy.as_ref(), options).await?;
    transport.send(head.into()).await?;
    let mut reader = Reader::new(method == "HEAD", options.body_bytes_max);
    let receive = async {
        loop {
            let bytes = transport.recv().await?;
            if bytes.is_empty() {
                reader.end().map_err(|_| Failed::Response)?;
                break;
            }
            if reader.receive(&bytes).map_err(|_| Failed::Response)? == Progress::Done {
                break;
            }
        }
        reader.into_response().ok_or(Failed::Response)
    };
    let Some(post) = post else { return receive.await };
    // A server that refuses may close before it has read a long body; its response counts all the same.
    let sent = transport.send(post.body.clone()).await;
    let response = receive.await;
    if sent.is_err() && response.is_err() { Err(Failed::Connection) } else { response }
}
