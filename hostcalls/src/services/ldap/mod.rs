//! `ldap`: searches in directories.

mod ber;
mod codes;
mod dn;
mod filter;
mod message;
mod requests;
mod session;
mod url;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use config::ServiceTls;
use script::fault::Fault;
use script::native::{Call, HostObject, Native, NativeClass};
use script::value::{Object, Value};

use codes::{LOCAL_ERROR, NOT_SUPPORTED, PARAM_ERROR, SUCCESS, TIMEOUT};
use session::{Failed, Session, failure};
use url::Server;

use super::{LDAP, host};
use crate::crypto::x509::Certificate;
use crate::library::HostFunction;
use crate::limits::{LDAP_CONNECT, LDAP_WAIT};
use crate::{Environment, Execution};

const BIND: u16 = LDAP;
const SEARCH: u16 = LDAP + 1;
const START_TLS: u16 = LDAP + 2;
const UNBIND: u16 = LDAP + 3;
const NEXT: u16 = LDAP + 4;

pub(super) const HOST: [HostFunction; 5] = [
    HostFunction { number: BIND, run: requests::bind },
    HostFunction { number: SEARCH, run: requests::search },
    HostFunction { number: START_TLS, run: requests::start_tls },
    HostFunction { number: UNBIND, run: requests::unbind },
    HostFunction { number: NEXT, run: requests::next },
];

pub(super) static CLASS: NativeClass = NativeClass {
    name: "LDAP",
    doc: "A connection to a directory (RFC 4511). Methods give none on errors, and errno says which.",
    extends: None,
    constructor: Some(Native::inline(
        "LDAP",
        "string uri",
        (1, Some(1)),
        "The uri is ldap://host[:port] or ldaps://...; of several, with blanks between them, the first that answers is \
         used. Connects when it has to.",
        construct,
    )),
    methods: &[
        Native::inline(
            "setoption",
            "string name, any value",
            (2, Some(2)),
            "Options: network_timeout (seconds to connect; 0: 30), timeout (seconds for an answer; 0: 60), timelimit \
             (seconds for the server; 0: none), tls_verify_peer (true), tls_default_ca, protocol_version (3), referrals \
             (false).",
            set_option,
        ),
        Native::inline(
            "getoption",
            "string name",
            (1, Some(1)),
            "diagnostic_message: what was said of the last error.",
            get_option,
        ),
        host("starttls", "", (0, Some(0)), "Begins TLS on the connection.", START_TLS),
        host(
            "bind",
            "[string dn [, string cred]]",
            (0, Some(2)),
            "Says who we are, by a password; without arguments nobody. A name with an empty password is refused: servers \
             take it for nobody, and scripts for somebody.",
            BIND,
        ),
        host(
            "search",
            "string basedn [, array options]",
            (1, Some(2)),
            "Begins a search: an LDAPResult. Options: scope (sub, one or base; default sub), filter (RFC 4515; default \
             (objectclass=*)), attributes (default all).",
            SEARCH,
        ),
        host("unbind", "", (0, Some(0)), "Ends the connection.", UNBIND),
        Native::inline("errno", "", (0, Some(0)), "The code of the last error.", last_errno),
        Native::inline(
            "getpeerx509",
            "",
            (0, Some(0)),
            "The server's certificate, an X509.",
            peer_certificate,
        ),
    ],
    statics: &[
        Native::inline("err2string", "number errno", (1, Some(1)), "The text of a code.", |call| {
            Ok(codes::text(call.number(0)? as i32).into())
        }),
        Native::inline(
            "filter_escape",
            "string value",
            (1, Some(1)),
            "A text that stands for itself in a filter.",
            |call| Ok(filter::escape(call.bytes(0)?).into()),
        ),
        Native::inline(
            "str2dn",
            "string str",
            (1, Some(1)),
            "The attributes and values of a distinguished name, a list of pairs; none if it is none.",
            str2dn,
        ),
        Native::inline("dn2str", "array dn", (1, Some(1)), "The reverse of str2dn.", dn2str),
    ],
};

pub(super) static RESULT: NativeClass = NativeClass {
    name: "LDAPResult",
    doc: "What a search finds.",
    extends: None,
    constructor: None,
    methods: &[host(
        "next",
        "",
        (0, Some(0)),
        "The next entry: dn, and a list of values for each attribute. False at the end, none on errors.",
        NEXT,
    )],
    statics: &[],
};

/// How long to wait.
#[derive(Clone, Copy, Debug)]
struct Patience {
    network: Duration,
    answer: Duration,
}

/// An object of the class, shared with its results.
struct Connection {
    /// None: the uri is none.
    servers: Option<Vec<Server>>,
    patience: Cell<Patience>,
    time_limit_s: Cell<i32>,
    verify_peer: Cell<bool>,
    state: RefCell<State>,
    errno: Cell<i32>,
    diagnostic: RefCell<Vec<u8>>,
}

enum State {
    New,
    /// It is in use while there is none.
    Open(Option<Box<Session>>),
    Ended,
}

struct Ldap(Rc<Connection>);

struct LdapResult {
    connection: Rc<Connection>,
    id: i32,
    /// How it ended.
    end: RefCell<Option<Result<(), Failed>>>,
}

impl HostObject for Ldap {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    /// With what a connection receives.
    fn size_bytes(&self) -> usize {
        size_of::<Connection>() + 16 * 1024
    }
}

impl HostObject for LdapResult {
    fn class(&self) -> &'static NativeClass {
        &RESULT
    }

    fn size_bytes(&self) -> usize {
        size_of::<LdapResult>()
    }
}

impl Drop for LdapResult {
    fn drop(&mut self) {
        if let State::Open(Some(session)) = &mut *self.connection.state.borrow_mut() {
            session.forget(self.id);
        }
    }
}

impl Connection {
    fn tls(&self) -> ServiceTls {
        let verify = self.verify_peer.get();
        ServiceTls { enabled: Some(true), verify_peer: verify, verify_host: verify }
    }

    fn note(&self, failed: Failed) {
        self.errno.set(failed.code);
        self.diagnostic.replace(failed.text);
    }

    /// Takes the connection out, to be [put back](Connection::put_back): when what uses it is dropped, it ends.
    async fn session(&self, execution: &Execution) -> Result<Box<Session>, Failed> {
        let ended = || failure(LOCAL_ERROR, "the connection has ended");
        let servers =
            self.servers.as_ref().ok_or_else(|| failure(PARAM_ERROR, "it is no uri of a directory"))?;
        match &mut *self.state.borrow_mut() {
            State::Open(session) => return session.take().ok_or_else(ended),
            State::Ended => return Err(ended()),
            State::New => {}
        }
        let slot = execution.open_slot().ok_or_else(|| failure(LOCAL_ERROR, "too much is open"))?;
        let environment: &Environment = execution.environment();
        let session = Session::open(environment, servers, self.patience.get(), self.tls(), slot).await?;
        self.state.replace(State::Open(None));
        Ok(Box::new(session))
    }

    fn put_back(&self, session: Box<Session>) {
        if let State::Open(place) = &mut *self.state.borrow_mut() {
            *place = Some(session);
        }
    }

    /// Runs a request with the connection. An error of the server's leaves it, any other one ends it.
    async fn with<T>(
        &self,
        execution: &Execution,
        request: impl AsyncFnOnce(&mut Session) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let mut session = self.session(execution).await?;
        let patience = self.patience.get().answer;
        let answer = match engine::time::timeout(patience, request(&mut session)).await {
            Ok(answer) => answer,
            Err(_) => Err(failure(TIMEOUT, "no answer in time")),
        };
        if answer.as_ref().err().is_none_or(|failed| failed.code > SUCCESS) {
            self.put_back(session);
        }
        answer
    }

    /// The object on success; none on errors, which are noted.
    fn outcome(&self, result: Result<(), Failed>, this: &Object) -> Value {
        match result {
            Ok(()) => this.clone().into(),
            Err(failed) => {
                self.note(failed);
                Value::None
            }
        }
    }
}

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    let connection = Connection {
        servers: url::parse(&call.str(0)?.to_string_lossy()),
        patience: Cell::new(Patience { network: LDAP_CONNECT, answer: LDAP_WAIT }),
        time_limit_s: Cell::new(0),
        verify_peer: Cell::new(true),
        state: RefCell::new(State::New),
        errno: Cell::new(SUCCESS),
        diagnostic: RefCell::default(),
    };
    Ok(Object::host(Ldap(Rc::new(connection))).into())
}

fn set_option(call: &mut Call<'_>) -> Result<Value, Fault> {
    let Ldap(connection) = call.this::<Ldap>()?;
    let value = call.arg(1);
    let number = value.as_number().filter(|number| *number >= 0.0);
    let seconds = |number: f64, most: Duration| match number {
        0.0 => most,
        number => Duration::from_secs_f64(number.min(86_400.0)),
    };
    let mut patience = connection.patience.get();
    let known = match (call.bytes(0)?, number, value.as_bool()) {
        (b"network_timeout", Some(number), _) => {
            patience.network = seconds(number, LDAP_CONNECT);
            true
        }
        (b"timeout", Some(number), _) => {
            patience.answer = seconds(number, LDAP_WAIT);
            true
        }
        (b"timelimit", Some(number), _) => {
            connection.time_limit_s.set(number as i32);
            true
        }
        (b"tls_verify_peer", _, Some(verify)) => {
            connection.verify_peer.set(verify);
            true
        }
        // Those of the system are always trusted.
        (b"tls_default_ca", _, Some(_)) | (b"referrals", _, Some(false)) => true,
        (b"protocol_version", Some(version), _) => version == 3.0,
        _ => false,
    };
    connection.patience.set(patience);
    if known {
        return Ok(call.this_object()?.clone().into());
    }
    connection.note(failure(NOT_SUPPORTED, "there is no such option, or it cannot have that value"));
    Ok(Value::None)
}

fn get_option(call: &mut Call<'_>) -> Result<Value, Fault> {
    let Ldap(connection) = call.this::<Ldap>()?;
    match call.bytes(0)? {
        b"diagnostic_message" => Ok(connection.diagnostic.borrow()[..].into()),
        _ => Ok(Value::None),
    }
}

fn last_errno(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.this::<Ldap>()?.0.errno.get().into())
}

fn peer_certificate(call: &mut Call<'_>) -> Result<Value, Fault> {
    let Ldap(connection) = call.this::<Ldap>()?;
    let certificates = match &*connection.state.borrow() {
        State::Open(Some(session)) => session.link.stream().peer_certificates(),
        _ => Vec::new(),
    };
    let certificate = certificates.first().and_then(|der| Certificate::from_der(der));
    if certificate.is_none() {
        connection.note(failure(LOCAL_ERROR, "there is no certificate"));
    }
    Ok(certificate.map(|certificate| certificate.object()).into())
}

fn str2dn(call: &mut Call<'_>) -> Result<Value, Fault> {
    let Some(pairs) = dn::parse(call.bytes(0)?) else { return Ok(Value::None) };
    let pair = |(name, value): dn::Pair| Value::from(vec![Value::from(name), Value::from(value)]);
    Ok(pairs.into_iter().map(pair).collect::<Vec<_>>().into())
}

fn dn2str(call: &mut Call<'_>) -> Result<Value, Fault> {
    let pair = |value: Value| {
        let pair = value.as_array().filter(|pair| pair.len() == 2)?;
        let mut texts = pair.values().map(|text| text.as_bytes().map(<[u8]>::to_vec));
        Some((texts.next()??, texts.next()??))
    };
    let pairs: Option<Vec<_>> = call.array(0)?.values().map(pair).collect();
    Ok(pairs.and_then(|pairs| dn::print(&pairs)).into())
}

/// Whatever a server may say, and whatever a script may take for a name or a filter: a name that is written is read as the
/// same, a filter is one element, and what is escaped stands for itself.
pub(super) fn check(bytes: &[u8]) {
    let one_element = |bytes: &[u8]| {
        let mut reader = ber::Reader::new(bytes);
        reader.element().is_ok() && reader.is_empty()
    };
    if let Ok(Some(length)) = ber::frame(bytes) {
        let framed = &bytes[..length.min(bytes.len())];
        for cut in 0..framed.len().min(8) {
            assert!(
                matches!(ber::frame(&framed[..cut]), Ok(None))
                    || ber::frame(&framed[..cut]) == Ok(Some(length))
            );
        }
        assert_eq!(message::read(framed).is_ok(), message::read(bytes).is_ok() && framed.len() == length);
    }
    if let Some(pairs) = dn::parse(bytes) {
        let printed = dn::print(&pairs).expect("names that were read have no others");
        assert_eq!(dn::parse(&printed), Some(pairs));
    }
    assert!(filter::parse(bytes).is_ok_and(|filter| one_element(&filter)) || filter::parse(bytes).is_err());
    let exact = filter::parse(&[b"(cn=", &filter::escape(bytes)[..], b")"].concat()).expect("it is escaped");
    assert!(exact.ends_with(bytes) && one_element(&exact));
    if let Some(servers) = url::parse(&String::from_utf8_lossy(bytes)) {
        assert!(!servers.is_empty());
    }
}
