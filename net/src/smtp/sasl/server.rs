//! The server's side of mechanisms that do not show the password: they end in a comparison with what is known of it.
//!
//! PLAIN and LOGIN need no machine: see [`Claim`](crate::smtp::server::Claim).

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::scram;

/// CRAM-MD5 (RFC 2195).
#[derive(Debug)]
pub struct CramMd5 {
    challenge: String,
}

/// A response to CRAM-MD5, to be held against a password.
#[derive(Debug)]
pub struct CramMd5Response {
    challenge: String,
    /// Who the peer says it is.
    pub username: Vec<u8>,
    digest: Vec<u8>,
}

impl CramMd5 {
    /// `nonce` must never come again; `hostname` is this server's.
    pub fn new(nonce: u128, hostname: &str) -> CramMd5 {
        CramMd5 { challenge: format!("<{nonce:032x}@{hostname}>") }
    }

    /// One that has been asked already.
    pub fn of_challenge(challenge: String) -> CramMd5 {
        CramMd5 { challenge }
    }

    /// What to ask first.
    pub fn challenge(&self) -> &[u8] {
        self.challenge.as_bytes()
    }

    /// Takes the response: a name, a blank and a digest. `None` when it is none.
    pub fn respond(self, response: &[u8]) -> Option<CramMd5Response> {
        let blank = memchr::memrchr(b' ', response)?;
        let digest = HEXLOWER_PERMISSIVE.decode(&response[blank + 1..]).ok()?;
        Some(CramMd5Response { challenge: self.challenge, username: response[..blank].to_vec(), digest })
    }
}

impl CramMd5Response {
    /// Whether the peer knows this password.
    pub fn is_right(&self, password: &[u8]) -> bool {
        let mut keyed = Hmac::<Md5>::new_from_slice(password).expect("HMAC takes keys of any length");
        keyed.update(self.challenge.as_bytes());
        scram::is_same(&keyed.finalize().into_bytes(), &self.digest)
    }
}

/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3): enough to check, not to log in
/// elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScramKeys {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: scram::Key,
    server_key: scram::Key,
}

impl ScramKeys {
    /// From the password. RFC 7677 asks for 4096 iterations at least.
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> ScramKeys {
        let salted = scram::salted_password(password, salt, iterations.max(1));
        ScramKeys {
            salt: salt.to_vec(),
            iterations: iterations.max(1),
            stored_key: scram::stored_key(&scram::client_key(&salted)),
            server_key: scram::server_key(&salted),
        }
    }
}

/// The client's first message of SCRAM-SHA-256.
#[derive(Debug)]
pub struct ScramFirst {
    /// Who the peer says it is.
    pub username: Vec<u8>,
    /// As whom it wants to act, if not as that.
    pub authorization: Option<Vec<u8>>,
    gs2_header: Vec<u8>,
    bare: Vec<u8>,
    nonce: Vec<u8>,
}

/// SCRAM-SHA-256, waiting for the client's proof.
#[derive(Debug)]
pub struct ScramFinal {
    keys: ScramKeys,
    gs2_header: Vec<u8>,
    nonce: Vec<u8>,
    bare: Vec<u8>,
    challenge: Vec<u8>,
}

impl ScramFirst {
    /// Takes the initial response. `None` when it is none, or asks for channel binding, which is not offered.
    pub fn parse(message: &[u8]) -> Option<ScramFirst> {
        let mut parts = message.splitn(3, |&byte| byte == b',');
        let (binding, authorization, bare) = (parts.next()?, parts.next()?, parts.next()?);
        if !matches!(binding, b"n" | b"y") {
            return None;
        }
        let authorization = match authorization {
            b"" => None,
            named => Some(unescape(named.strip_prefix(b"a=")?)?),
        };
        let gs2_header = message[..message.len() - bare.len()].to_vec();
        let mut attributes = bare.split(|&byte| byte == b',');
        let username = unescape(attributes.next()?.strip_prefix(b"n=")?)?;
        let nonce = attributes.next()?.strip_prefix(b"r=")?;
        let printable = nonce.iter().all(|byte| matches!(byte, b'!'..=b'~'));
        if username.is_empty() || nonce.is_empty() || !printable {
            return None;
        }
        Some(ScramFirst { username, authorization, gs2_header, nonce: nonce.to_vec(), bare: bare.to_vec() })
    }

    /// Goes on with what is known of this user's password, and with a nonce that must never come again.
    pub fn challenge(self, keys: ScramKeys, nonce: u128) -> ScramFinal {
        self.challenge_with(keys, format!("{nonce:032x}").as_bytes())
    }

    /// The nonce of the client.
    pub fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    /// The same with a nonce of printable characters without a comma.
    pub fn challenge_with(self, keys: ScramKeys, nonce: &[u8]) -> ScramFinal {
        let nonce = [&self.nonce[..], nonce].concat();
        let challenge = format!(
            "r={},s={},i={}",
            String::from_utf8_lossy(&nonce),
            BASE64.encode(&keys.salt),
            keys.iterations
        );
        let challenge = challenge.into_bytes();
        ScramFinal { keys, gs2_header: self.gs2_header, nonce, bare: self.bare, challenge }
    }
}

impl ScramFinal {
    /// What to ask.
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// Takes the client's final message. The proof that the server knows the password too, to be sent as the last
    /// challenge; `None` when the client does not know it.
    pub fn finish(self, message: &[u8]) -> Option<Vec<u8>> {
        let comma = memchr::memrchr(b',', message)?;
        let (without_proof, proof) = (&message[..comma], message[comma + 1..].strip_prefix(b"p=")?);
        let mut attributes = without_proof.split(|&byte| byte == b',');
        let binding = BASE64.decode(attributes.next()?.strip_prefix(b"c=")?).ok()?;
        let nonce = attributes.next()?.strip_prefix(b"r=")?;
        if binding != self.gs2_header || nonce != self.nonce {
            return None;
        }
        let auth_message = [&self.bare[..], b",", &self.challenge, b",", without_proof].concat();
        let proof: scram::Key = BASE64.decode(proof).ok()?.try_into().ok()?;
        // The proof is the client's key under its signature: taken off, the key must hash to the stored one.
        let client_key = scram::proof(&proof, &scram::signature(&self.keys.stored_key, &auth_message));
        if !scram::is_same(&scram::stored_key(&client_key), &self.keys.stored_key) {
            return None;
        }
        let signature = scram::signature(&self.keys.server_key, &auth_message);
        Some(format!("v={}", BASE64.encode(&signature)).into_bytes())
    }
}

/// Takes `=2C` and `=3D` for a comma and an equals sign (RFC 5802 section 5.1).
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'=' {
            out.push(byte);
            continue;
        }
        let (code, tail) = rest.split_at_checked(2)?;
        rest = tail;
        out.push(match code {
            b"2C" => b',',
            b"3D" => b'=',
            _ => return None,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::{Client, Credentials, Mechanism};
    use super::*;

    #[test]
    fn the_example_of_rfc_2195_is_right_and_another_password_is_not() {
        let challenge = "<1896.697170952@postoffice.reston.mci.net>".to_owned();
        let response = CramMd5 { challenge }.respond(b"tim b913a602c7eda7a495b4e6e7334d3890").expect("valid");
        assert_eq!(response.username, b"tim");
        assert!(response.is_right(b"tanstaaftanstaaf"));
        assert!(!response.is_right(b"tanstaaf"));
        let machine = CramMd5::new(1, "mx.example.com");
        assert_eq!(machine.challenge(), b"<00000000000000000000000000000001@mx.example.com>");
        assert!(machine.respond(b"nothing").is_none());
    }

    /// The exchange of RFC 7677 section 3, with the nonce that it has.
    fn rfc_7677() -> ScramFinal {
        let first = ScramFirst::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").expect("valid");
        assert_eq!(first.username, b"user");
        let salt = BASE64.decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let nonce = [&first.nonce[..], b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"].concat();
        let challenge = [b"r=", &nonce[..], b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"].concat();
        let keys = ScramKeys::derive(b"pencil", &salt, 4096);
        ScramFinal { keys, gs2_header: first.gs2_header, nonce, bare: first.bare, challenge }
    }

    #[test]
    fn the_example_of_rfc_7677_is_right_and_any_change_of_it_is_not() {
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let proof = rfc_7677().finish(last.as_bytes());
        assert_eq!(proof.as_deref(), Some(&b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="[..]));
        for at in 0..last.len() {
            let mut changed = last.as_bytes().to_vec();
            changed[at] ^= 1;
            assert_eq!(rfc_7677().finish(&changed), None, "changed at {at}");
        }
    }

    /// What our own client says to a server that keeps `kept` of a password.
    fn scram_with_our_client(said: &str, kept: &str) -> Option<bool> {
        let credentials = Credentials { username: "a,b=c".into(), password: said.into() };
        let mut client = Client::new(Mechanism::ScramSha256, &credentials, &[7; 18]);
        let first = ScramFirst::parse(&client.initial_response()?)?;
        assert_eq!(first.username, b"a,b=c");
        let server = first.challenge(ScramKeys::derive(kept.as_bytes(), b"salt", 4096), 1);
        let proof = server.challenge().to_vec();
        let last = client.respond(&proof).ok()?;
        let signature = server.finish(&last)?;
        client.respond(&signature).ok()?;
        Some(client.succeeded().is_ok())
    }

    #[test]
    fn our_client_and_our_server_agree_about_the_password() {
        assert_eq!(scram_with_our_client("pencil", "pencil"), Some(true));
        assert_eq!(scram_with_our_client("pencil", "pen"), None);
        for (said, right) in [("secret", true), ("Secret", false)] {
            let credentials = Credentials { username: "a b".into(), password: said.into() };
            let mut client = Client::new(Mechanism::CramMd5, &credentials, &[7; 18]);
            let server = CramMd5::new(1, "mx.example.com");
            let response = client.respond(server.challenge()).expect("a challenge");
            let response = server.respond(&response).expect("a response");
            assert_eq!((&response.username[..], response.is_right(b"secret")), (&b"a b"[..], right));
        }
    }

    #[test]
    fn first_messages_that_are_none_are_refused() {
        for message in [
            "",
            "n,,",
            "p=tls-unique,,n=a,r=b",
            "n,b,n=a,r=b",
            "n,,n=,r=b",
            "n,,n=a,r=",
            "n,,n==,r=b",
            "n,,m=x,n=a,r=b",
        ] {
            assert!(ScramFirst::parse(message.as_bytes()).is_none(), "{message}");
        }
        let first = ScramFirst::parse(b"y,a=b=2Cc,n=d=3De,r=f").expect("valid");
        assert_eq!((first.username, first.authorization), (b"d=e".to_vec(), Some(b"b,c".to_vec())));
    }
}
