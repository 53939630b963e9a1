//! The client's side.

use std::fmt;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::{Mechanism, scram};
use crate::limits::SCRAM_ITERATIONS_MAX;

/// Who we are.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// The user name, in UTF-8.
    pub username: Box<str>,
    /// The password, in UTF-8.
    pub password: Box<str>,
}

/// Random bytes for one exchange. Whoever can foresee them weakens SCRAM.
pub type Nonce = [u8; 18];

/// Why an exchange cannot go on. Both are the peer's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// A challenge that is none, comes when there is nothing more to say, or asks for more work than allowed.
    Challenge,
    /// The server does not know the password.
    ServerUnproven,
}

/// One exchange, up to the server's reply.
#[derive(Debug)]
pub struct Client {
    username: Box<str>,
    state: State,
}

enum State {
    /// What to say next has no need of a challenge's content.
    Plain(Vec<u8>),
    LoginUser {
        password: Box<str>,
    },
    LoginPassword {
        password: Box<str>,
    },
    CramMd5 {
        password: Box<str>,
    },
    ScramFirst {
        password: Box<str>,
        nonce: String,
    },
    ScramFinal {
        server_signature: scram::Key,
    },
    /// All is said.
    Said,
    /// The peer has broken the rules.
    Failed,
}

impl Client {
    /// Begins an exchange.
    pub fn new(mechanism: Mechanism, credentials: &Credentials, nonce: &Nonce) -> Client {
        let Credentials { username, password } = credentials.clone();
        let state = match mechanism {
            Mechanism::CramMd5 => State::CramMd5 { password },
            Mechanism::Login => State::LoginUser { password },
            Mechanism::Plain => State::Plain(format!("\0{username}\0{password}").into_bytes()),
            Mechanism::ScramSha256 => State::ScramFirst { password, nonce: BASE64.encode(nonce) },
        };
        Client { username, state }
    }

    /// What to send with AUTH, where the mechanism begins with the client.
    pub fn initial_response(&mut self) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Plain(text) => {
                let text = std::mem::take(text);
                self.state = State::Said;
                Some(text)
            }
            State::ScramFirst { nonce, .. } => {
                let bare = client_first_bare(&self.username, nonce);
                Some(format!("n,,{bare}").into_bytes())
            }
            _ => None,
        }
    }

    /// The response to a challenge.
    ///
    /// # Errors
    /// The exchange is over: the peer is not to be trusted with more.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Failure> {
        match std::mem::replace(&mut self.state, State::Failed) {
            // Its text says "Username:" or whatever the server likes.
            State::LoginUser { password } => {
                self.state = State::LoginPassword { password };
                Ok(self.username.as_bytes().to_vec())
            }
            State::LoginPassword { password } => {
                self.state = State::Said;
                Ok(password.as_bytes().to_vec())
            }
            State::CramMd5 { password } => {
                self.state = State::Said;
                Ok(self.cram_md5(&password, challenge))
            }
            State::ScramFirst { password, nonce } => self.scram_final(&password, &nonce, challenge),
            State::ScramFinal { server_signature } => {
                let sent = challenge.strip_prefix(b"v=").and_then(|text| BASE64.decode(text).ok());
                if sent.is_some_and(|sent| scram::is_same(&sent, &server_signature)) {
                    self.state = State::Said;
                    Ok(Vec::new())
                } else {
                    Err(Failure::ServerUnproven)
                }
            }
            State::Plain(_) | State::Said | State::Failed => Err(Failure::Challenge),
        }
    }

    /// The server says that we are logged in.
    ///
    /// # Errors
    /// It has not proven what the mechanism asks of it, or has broken its rules before.
    pub fn succeeded(&self) -> Result<(), Failure> {
        match self.state {
            State::Said => Ok(()),
            _ => Err(Failure::ServerUnproven),
        }
    }

    fn cram_md5(&self, password: &str, challenge: &[u8]) -> Vec<u8> {
        let mut mac: Hmac<Md5> =
            Hmac::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(challenge);
        let digest = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        format!("{} {digest}", self.username).into_bytes()
    }

    fn scram_final(&mut self, password: &str, nonce: &str, server_first: &[u8]) -> Result<Vec<u8>, Failure> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| Failure::Challenge)?;
        let ServerFirst { nonce: both_nonces, salt, iterations } =
            ServerFirst::parse(server_first, nonce).ok_or(Failure::Challenge)?;
        let bare = client_first_bare(&self.username, nonce);
        // "biws" is "n,," in base64: no channel binding.
        let without_proof = format!("c=biws,r={both_nonces}");
        let auth_message = format!("{bare},{server_first},{without_proof}");
        let salted = scram::salted_password(password.as_bytes(), &salt, iterations);
        let client_key = scram::client_key(&salted);
        let client_signature = scram::signature(&scram::stored_key(&client_key), auth_message.as_bytes());
        let server_signature = scram::signature(&scram::server_key(&salted), auth_message.as_bytes());
        self.state = State::ScramFinal { server_signature };
        let proof = BASE64.encode(&scram::proof(&client_key, &client_signature));
        Ok(format!("{without_proof},p={proof}").into_bytes())
    }
}

/// `server-first-message` of RFC 5802.
struct ServerFirst<'m> {
    nonce: &'m str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'m> ServerFirst<'m> {
    /// Reads it; the nonce must begin with ours and go on.
    fn parse(text: &'m str, our_nonce: &str) -> Option<ServerFirst<'m>> {
        let mut parts = text.split(',');
        let nonce = parts.next()?.strip_prefix("r=")?;
        let salt = BASE64.decode(parts.next()?.strip_prefix("s=")?.as_bytes()).ok()?;
        let iterations: u32 = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        let fits = nonce.len() > our_nonce.len() && nonce.starts_with(our_nonce);
        let bounded = (1..=SCRAM_ITERATIONS_MAX).contains(&iterations);
        (fits && bounded && !salt.is_empty()).then_some(ServerFirst { nonce, salt, iterations })
    }
}

fn client_first_bare(username: &str, nonce: &str) -> String {
    format!("n={},r={nonce}", username.replace('=', "=3D").replace(',', "=2C"))
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Without what it holds.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(mechanism: Mechanism, username: &str, password: &str) -> Client {
        let credentials = Credentials { username: username.into(), password: password.into() };
        Client::new(mechanism, &credentials, &[0; 18])
    }

    #[test]
    fn plain_and_login_say_name_and_password() {
        let mut plain = begin(Mechanism::Plain, "tim", "tanstaaftanstaaf");
        assert_eq!(plain.initial_response().as_deref(), Some(&b"\0tim\0tanstaaftanstaaf"[..]));
        assert_eq!(plain.succeeded(), Ok(()));
        assert_eq!(plain.respond(b""), Err(Failure::Challenge));

        let mut login = begin(Mechanism::Login, "tim", "secret");
        assert_eq!(login.initial_response(), None);
        assert_eq!(login.respond(b"Username:").as_deref(), Ok(&b"tim"[..]));
        assert_eq!(login.respond(b"Password:").as_deref(), Ok(&b"secret"[..]));
        assert_eq!(login.respond(b"More:"), Err(Failure::Challenge));
    }

    /// The example of RFC 2195 section 2.
    #[test]
    fn cram_md5_answers_as_its_rfc_shows() {
        let mut client = begin(Mechanism::CramMd5, "tim", "tanstaaftanstaaf");
        assert_eq!(client.initial_response(), None);
        let response = client.respond(b"<1896.697170952@postoffice.reston.mci.net>").expect("a response");
        assert_eq!(response, b"tim b913a602c7eda7a495b4e6e7334d3890");
        assert_eq!(client.succeeded(), Ok(()));
    }

    /// The example of RFC 7677 section 3.
    fn example() -> Client {
        let mut client = begin(Mechanism::ScramSha256, "user", "pencil");
        client.state = State::ScramFirst { password: "pencil".into(), nonce: "rOprNGfwEbeRWgbNEkqO".into() };
        client
    }

    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn scram_answers_as_its_rfc_shows() {
        let mut client = example();
        assert_eq!(client.initial_response().as_deref(), Some(&b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"[..]));
        let last = client.respond(SERVER_FIRST.as_bytes()).expect("a response");
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(last).as_deref(), Ok(expected));
        assert_eq!(client.succeeded(), Err(Failure::ServerUnproven));
        let proof = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(client.respond(proof).as_deref(), Ok(&b""[..]));
        assert_eq!(client.succeeded(), Ok(()));
    }

    #[test]
    fn scram_trusts_no_server_that_breaks_its_rules() {
        for text in [
            "",
            "r=other,s=W22Z,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=!!,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4000000000",
            "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096",
            "\u{e9}",
        ] {
            assert_eq!(example().respond(text.as_bytes()), Err(Failure::Challenge), "{text}");
        }
        for proof in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "v=", "e=other-error", ""] {
            let mut client = example();
            client.respond(SERVER_FIRST.as_bytes()).expect("a response");
            assert_eq!(client.respond(proof.as_bytes()), Err(Failure::ServerUnproven), "{proof}");
        }
    }

    /// It counted as over, and so as a success.
    #[test]
    fn an_exchange_that_has_failed_does_not_succeed() {
        for mechanism in Mechanism::ALL {
            let mut client = begin(mechanism, "tim", "secret");
            client.initial_response();
            while client.respond(b"r=").is_ok() {}
            assert_eq!(client.succeeded(), Err(Failure::ServerUnproven), "{mechanism:?}");
        }
    }

    #[test]
    fn names_are_escaped_and_passwords_are_not_shown() {
        let mut client = begin(Mechanism::ScramSha256, "a=b,c", "secret");
        let first = client.initial_response().expect("begins with the client");
        assert!(first.starts_with(b"n,,n=a=3Db=2Cc,r="));
        let credentials = Credentials { username: "a".into(), password: "secret".into() };
        assert!(!format!("{credentials:?}{client:?}").contains("secret"));
    }
}
