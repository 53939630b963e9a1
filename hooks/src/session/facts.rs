//! What the server knows of a connection and its transaction, for scripts.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hostcalls::mail::AddressObjects;
use net::dns::Resolved;
use net::smtp::address::Address;
use net::smtp::reply::Reply;
use script::value::{Array, Value};
use uuid::Uuid;

use crate::variables;

/// The facts of `$connection` (reference: hooks 2.1).
#[derive(Debug)]
pub struct Connection {
    /// Its own id.
    pub id: Uuid,
    /// Id of the server.
    pub server_id: Arc<str>,
    /// The client; a script of `connect` may say another address.
    pub remote: SocketAddr,
    /// Confirmed or given name of the client.
    pub remote_ptr: Option<String>,
    /// What DNS said about the client's name, for the first hook.
    pub name_answers: Option<Box<NameAnswers>>,
    /// The user at the other end of a socket in the file system.
    pub remote_uid: Option<u32>,
    /// Our side.
    pub local: SocketAddr,
    /// Address of the PROXY sender.
    pub proxy_ip: Option<IpAddr>,
    /// The extra fields of its header, as they came; empty where there are none.
    pub proxy_tlvs: Vec<u8>,
    /// What HELO or EHLO said, once accepted.
    pub hello: Option<Hello>,
    /// Once TLS is on.
    pub tls: Option<Tls>,
    /// Once authenticated.
    pub auth: Option<Auth>,
}

/// What DNS said about the name of an address.
#[derive(Clone, Debug)]
pub struct NameAnswers {
    /// Its names.
    pub reverse: Resolved,
    /// The addresses of the name that counts, or of the first where none does; `None`: it has no name.
    pub forward: Option<Resolved>,
}

/// A greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// `HELO` or `EHLO`.
    pub verb: &'static str,
    /// The name in it.
    pub host: String,
}

/// The TLS of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub protocol: String,
    /// Name of the cipher suite.
    pub cipher: String,
    /// Strength of the cipher in bits.
    pub key_bits: u32,
    /// The name that the client asked for.
    pub sni: Option<String>,
    /// The client's certificate and the others that it sent, in DER; empty where it sent none.
    pub certificates: Vec<Vec<u8>>,
    /// What is wrong with its certificate, in the numbers of OpenSSL; 0: nothing.
    pub fault: u16,
}

/// Who authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// In upper case; `XCLIENT` where a proxy says who it is.
    pub mechanism: String,
    /// Name of the user, where there is one: the client's bytes, or what a script says.
    pub username: Option<Vec<u8>>,
}

/// The facts of `$transaction` (reference: hooks 2.2).
#[derive(Debug, Default)]
pub struct Transaction {
    /// Its id; there is one from the connect on.
    pub id: Uuid,
    /// After MAIL: the sender, `None` for the null sender.
    pub sender: Option<Option<Address>>,
    /// The parameters of MAIL.
    pub parameters: Vec<Parameter>,
    /// Those accepted, in order.
    pub recipients: Recipients,
    /// What came with a message that was handed in by HTTP.
    pub submission: Option<Box<Submission>>,
}

/// What comes with a message that is handed in by HTTP (reference: hooks 3.8.3).
#[derive(Debug)]
pub struct Submission {
    /// What the client has put beside the message; `None`: nothing, or `null`.
    pub metadata: Option<Value>,
    /// `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// What stands behind the `?`; empty: nothing.
    pub query: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The accepted recipients of a transaction. None is ever taken away, so that what scripts see of them is made once for each.
#[derive(Debug, Default)]
pub struct Recipients {
    list: Vec<Recipient>,
    /// The items of `$transaction["recipients"]` for the first of them: none before a script asks. About 1 KiB for each of
    /// as many as a transaction may have.
    shown: RefCell<Array>,
}

/// A parameter of MAIL or RCPT: keyword in upper case, and its value; empty where it has none.
pub type Parameter = (String, String);

/// An accepted recipient.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Its address.
    pub address: Address,
    /// The parameters of RCPT.
    pub parameters: Vec<Parameter>,
    /// Its transport, if one is known before the script of eod.
    pub transport: Option<String>,
}

/// How a connection ended, for the last hook.
#[derive(Debug, Default)]
pub struct Ended {
    /// By us.
    pub local: bool,
    /// The last reply, and the state in which it was given.
    pub reply: Option<(Reply, String)>,
    /// What broke it.
    pub error: Option<EndError>,
}

/// What broke a connection.
#[derive(Debug)]
pub struct EndError {
    /// A sentence.
    pub reason: String,
    /// `socket` or `tls`.
    pub kind: &'static str,
    /// The number of the system's error, 0 where there was none; of TLS one of OpenSSL.
    pub code: i32,
}

impl Recipients {
    /// Adds one.
    pub fn push(&mut self, recipient: Recipient) {
        self.list.push(recipient);
    }

    /// `$transaction["recipients"]`. What a script changes is its own copy.
    pub(crate) fn value(&self) -> Value {
        let mut shown = self.shown.borrow_mut();
        for recipient in &self.list[shown.len()..] {
            shown.push(variables::recipient(recipient));
        }
        shown.clone().into()
    }

    /// Their address objects, as scripts have them; none where no RCPT had parameters, since then nobody asks which is which.
    pub(crate) fn address_objects(&self) -> AddressObjects {
        if self.list.iter().all(|recipient| recipient.parameters.is_empty()) {
            return AddressObjects::default();
        }
        let Value::Array(shown) = self.value() else { return AddressObjects::default() };
        let place = |recipient: Value| Some(recipient.as_array()?.get_str("address")?.as_array()?.address());
        shown.values().enumerate().filter_map(|(index, recipient)| Some((place(recipient)?, index))).collect()
    }
}

impl From<Vec<Recipient>> for Recipients {
    fn from(list: Vec<Recipient>) -> Recipients {
        Recipients { list, shown: RefCell::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(local_part: &str) -> Recipient {
        let address = Address::parse(format!("{local_part}@y.example").as_bytes()).expect("an address");
        Recipient { address, parameters: Vec::new(), transport: Some("out".to_owned()) }
    }

    fn shown(recipients: &Recipients) -> Array {
        recipients.value().as_array().expect("a list").clone()
    }

    #[test]
    fn a_recipient_is_made_once_for_all_scripts_that_look_at_it() {
        let mut recipients = Recipients::default();
        assert!(shown(&recipients).is_empty());
        recipients.push(recipient("a"));
        let address = |list: &Array, at| list.get_index(at).and_then(|item| Some(item.as_array()?.address()));
        let first = address(&shown(&recipients), 0);
        assert!(first.is_some() && shown(&recipients).same(&shown(&recipients)));
        recipients.push(recipient("b"));
        let both = shown(&recipients);
        assert_eq!((both.len(), address(&both, 0)), (2, first));
        assert!(address(&both, 1).is_some());
    }

    #[test]
    fn what_a_script_does_to_the_list_is_its_own() {
        let recipients = Recipients::from(vec![recipient("a")]);
        let mut mine = shown(&recipients);
        mine.push(Value::None);
        assert_eq!((mine.len(), shown(&recipients).len()), (2, 1));
    }
}
