//! Signatures of version 4 of Amazon Web Services, and of what is like them.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use net::http::{Header, Url};
use sha2::{Digest, Sha256};

use super::encode;

/// What signs requests: `provider[:prefix[:region[:service]]]`, as `aws:amz:us-east-1:s3`, with an access key and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signer {
    /// `aws`
    provider: String,
    /// `amz`
    prefix: String,
    /// `None`: the second label of the host's name.
    region: Option<String>,
    /// `None`: the first label of the host's name.
    service: Option<String>,
    access_key: String,
    secret: String,
}

impl Signer {
    /// Reads its parameters. `None`: there are too many, or one is empty.
    pub(crate) fn parse(parameters: &str, access_key: &str, secret: &str) -> Option<Signer> {
        let parts: Vec<&str> = parameters.split(':').collect();
        if parts.len() > 4 || !parts.iter().all(|part| is_word(part)) {
            return None;
        }
        let part = |index: usize| parts.get(index).map(|part| (*part).to_owned());
        Some(Signer {
            provider: part(0)?,
            prefix: part(1).or(part(0))?,
            region: part(2),
            service: part(3),
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// Adds the signature, and what it needs, to the headers of a request. `None`: the host's name does not tell region and
    /// service, and the parameters do not either.
    pub(super) fn sign(
        &self,
        (method, url): (&str, &Url),
        headers: &mut Vec<Header>,
        body: &[u8],
        now: Timestamp,
    ) -> Option<()> {
        let mut host = Vec::new();
        url.authority(&mut host);
        let name = String::from_utf8_lossy(&host).into_owned();
        let mut labels = name.split('.').map(str::to_owned);
        let (first, second) = (labels.next(), labels.next());
        let (service, region) = (self.service.clone().or(first)?, self.region.clone().or(second)?);

        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let prefix = format!("x-{}-", self.prefix.to_lowercase());
        let hash_name = format!("{prefix}content-sha256");
        let given = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(hash_name.as_bytes()));
        let hash = match given {
            Some((_, value)) => String::from_utf8_lossy(value).into_owned(),
            None => HEXLOWER.encode(&Sha256::digest(body)),
        };
        if given.is_none() && service == "s3" {
            headers.push((hash_name.into_bytes(), hash.clone().into_bytes()));
        }
        headers.push((format!("{prefix}date").into_bytes(), time.clone().into_bytes()));

        let (names, fields) = canonical_headers(&host, headers, &prefix);
        let (path, query) = (canonical_path(url, service == "s3"), canonical_query(url));
        let request = format!("{method}\n{path}\n{query}\n{fields}\n{names}\n{hash}");
        let provider = self.provider.to_lowercase();
        let (date, algorithm) = (&time[..8], format!("{}4-HMAC-SHA256", provider.to_uppercase()));
        let scope = format!("{date}/{region}/{service}/{provider}4_request");
        let request = HEXLOWER.encode(&Sha256::digest(request));
        let secret = format!("{}4{}", provider.to_uppercase(), self.secret);
        let ends = [date, &region, &service, &format!("{provider}4_request")];
        let key = ends.iter().fold(secret.into_bytes(), |key, part| hmac(&key, part));
        let signature = HEXLOWER.encode(&hmac(&key, &format!("{algorithm}\n{time}\n{scope}\n{request}")));
        let value = format!(
            "{algorithm} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"authorization"));
        headers.push((b"Authorization".to_vec(), value.into_bytes()));
        Some(())
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Names and lines of the headers that are signed: the host, the type, and those of the provider.
fn canonical_headers(host: &[u8], headers: &[Header], prefix: &str) -> (String, String) {
    let mut signed: Vec<(String, String)> = vec![("host".to_owned(), text(host))];
    for (name, value) in headers {
        let name = text(name).to_lowercase();
        if name == "host" {
            signed[0].1 = text(value);
        } else if (name == "content-type" || name.starts_with(prefix)) && !value.is_empty() {
            let words: Vec<String> = text(value).split_whitespace().map(str::to_owned).collect();
            signed.push((name, words.join(" ")));
        }
    }
    signed.sort();
    let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
    let fields = signed.iter().fold(String::new(), |mut fields, (name, value)| {
        // A String takes whatever is written to it.
        let _ = writeln!(fields, "{name}:{value}");
        fields
    });
    (names.join(";"), fields)
}

/// The path as it is sent; for all services but S3 encoded once more.
fn canonical_path(url: &Url, as_sent: bool) -> String {
    let mut target = Vec::new();
    Url { query: None, ..url.clone() }.target(&mut target);
    if as_sent {
        return text(&target);
    }
    let mut path = Vec::new();
    for (index, segment) in target.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            path.push(b'/');
        }
        encode(segment, &mut path);
    }
    text(&path)
}

/// Names with their values, encoded in one way, in order.
fn canonical_query(url: &Url) -> String {
    let query = url.query.as_deref().unwrap_or_default();
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for pair in query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let mut half = || {
            let mut encoded = Vec::new();
            encode(&decode(halves.next().unwrap_or_default()), &mut encoded);
            encoded
        };
        pairs.push((half(), half()));
    }
    pairs.sort();
    let joined: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
    joined.join("&")
}

/// `%XX` undone.
fn decode(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *byte == b'%') {
            Some(value) => {
                decoded.push(value);
                rest = &tail[2..];
            }
            None => {
                decoded.push(*byte);
                rest = tail;
            }
        }
    }
    decoded
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn signed(parameters: &str, method: &str, url: &str, given: &[&str], body: &str) -> Option<String> {
        let signer = Signer::parse(parameters, "AKIDEXAMPLE", SECRET)?;
        let url = Url::parse(url.as_bytes()).unwrap();
        let split = |line: &&str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.as_bytes().to_vec(), value.as_bytes().to_vec())
        };
        let mut headers: Vec<Header> = given.iter().map(split).collect();
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        signer.sign((method, &url), &mut headers, body.as_bytes(), now)?;
        let (_, value) = headers.iter().find(|(name, _)| name == b"Authorization").unwrap();
        Some(text(value))
    }

    #[test]
    fn signatures_are_those_of_other_programs() {
        let cases = include_str!("aws_cases.txt");
        for case in cases.lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = case.split('|').map(str::trim).collect();
            let [parameters, method, url, headers, body, expected] = parts[..] else { panic!("{case}") };
            let headers: Vec<&str> = headers.split(", ").filter(|header| !header.is_empty()).collect();
            let value = signed(parameters, method, url, &headers, body).unwrap();
            assert!(value.ends_with(&format!("Signature={expected}")), "{case}\n{value}");
        }
    }

    #[test]
    fn what_is_signed_is_named() {
        let value =
            signed("aws:amz", "GET", "https://s3.eu-north-1.amazonaws.com/b/k", &["Content-Type: a/b"], "");
        let names = "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date";
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-north-1/s3/aws4_request";
        assert!(
            value.as_ref().is_some_and(|value| value.starts_with(scope) && value.contains(names)),
            "{value:?}"
        );
    }

    #[test]
    fn parameters_that_say_nothing_are_refused() {
        for bad in ["", "aws:", "a:b:c:d:e", "aws:amz:us east", "aws:\u{e4}"] {
            assert_eq!(Signer::parse(bad, "a", "b"), None, "{bad}");
        }
        assert_eq!(signed("aws:amz", "GET", "http://localhost/", &[], ""), None, "no region in the name");
    }
}
