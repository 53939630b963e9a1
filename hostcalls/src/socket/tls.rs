//! `TLSSocket`.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun, Options};
use script::value::{Array, Object, Value};
use tls::{ClientOptions, ClientSide, Sni, Stream, VerifyName};

use super::Inbox;
use super::plain::{Socket, length_of};
use crate::arguments::Arguments;
use crate::crypto::x509::Certificate;
use crate::library::{HostFunction, HostFuture};
use crate::secure::{identity, protocols};
use crate::{Execution, numbers};

const HANDSHAKE: u16 = numbers::SOCKET + 4;
const SEND: u16 = numbers::SOCKET + 5;
const RECV: u16 = numbers::SOCKET + 6;
const SHUTDOWN: u16 = numbers::SOCKET + 7;

/// What `errno` says of any error of TLS: rustls has no numbers.
const SSL_ERROR_SSL: i32 = 1;

pub(super) const HOST: [HostFunction; 4] = [
    HostFunction { number: HANDSHAKE, run: handshake },
    HostFunction { number: SEND, run: send },
    HostFunction { number: RECV, run: recv },
    HostFunction { number: SHUTDOWN, run: shutdown },
];

const fn host(name: &'static str, params: &'static str, args: u8, doc: &'static str, number: u16) -> Native {
    Native { name, params, doc, min_args: args, max_args: Some(args), run: NativeRun::Host(number) }
}

pub(super) static CLASS: NativeClass = NativeClass {
    name: "TLSSocket",
    doc: "TLS on a connected Socket. Nothing is verified unless the options say so.",
    extends: None,
    constructor: Some(Native::inline(
        "TLSSocket",
        "Socket socket [, array options]",
        (1, Some(2)),
        "Options: tls_protocols, tls_ciphers (a list of OpenSSL names, as in transports), tls_verify_name, tls_verify_ca, \
         tls_default_ca, tls_sni, tls_client_cert (an id of pki.private, or PEM text with certificate and key).",
        construct,
    )),
    methods: &[
        host("handshake", "", 0, "Agrees on TLS. None on errors, also of verification.", HANDSHAKE),
        host("send", "string data", 1, "Sends all of it. Its length, or none on errors.", SEND),
        host("recv", "number length", 1, "Up to length bytes; empty at the end, none on errors.", RECV),
        host("shutdown", "", 0, "Says that all is said. 1, or none on errors.", SHUTDOWN),
        Native::inline("errno", "", (0, Some(0)), "0, or 1 after an error of TLS.", last_errno),
        Native::inline("getpeerx509", "", (0, Some(0)), "The peer's certificate, an X509.", peer_certificate),
        Native::inline("toSocket", "", (0, Some(0)), "The socket below.", to_socket),
    ],
    statics: &[],
};

/// An object of the class.
struct TlsSocket {
    /// A [`Socket`].
    socket: Object,
    options: Array,
    phase: Cell<Phase>,
    inbox: Inbox,
    errno: Cell<i32>,
}

impl HostObject for TlsSocket {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    /// A session has buffers of its own.
    fn size_bytes(&self) -> usize {
        let session = if self.phase.get() == Phase::Agreed { 32 * 1024 } else { 0 };
        size_of::<TlsSocket>() + session + self.inbox.len()
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&Value::Object(self.socket.clone()));
        visit(&Value::Array(self.options.clone()));
    }
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    /// Both sides are agreed.
    Agreed,
    /// The connection is of no more use.
    Failed,
}

/// The operation came to nothing, and `errno` says so.
struct Refused;

impl TlsSocket {
    fn below(&self) -> Result<&Socket, Refused> {
        self.socket.downcast::<Socket>().ok_or(Refused)
    }

    fn stream(&self) -> Result<Rc<Stream>, Fault> {
        let stream = self.below().ok().and_then(Socket::stream);
        stream.ok_or_else(|| Fault::error("TLSSocket(): the socket is not connected"))
    }

    /// The connection, with both sides agreed.
    async fn agreed(&self, execution: &Rc<Execution>) -> Result<Result<Rc<Stream>, Refused>, Fault> {
        let stream = self.stream()?;
        match self.phase.get() {
            Phase::Agreed => return Ok(Ok(stream)),
            Phase::Failed => return Ok(Err(self.failed())),
            Phase::New if stream.is_encrypted() => {
                return Err(Fault::error("TLSSocket(): the socket below has TLS already"));
            }
            Phase::New => {}
        }
        let side = self.side(execution).await?;
        // Until it has succeeded it has failed: it cannot be tried again.
        self.phase.set(Phase::Failed);
        let host = stream.peer_addr().ip().to_string();
        match self.run(stream.connect_tls(&side, &host)).await {
            Ok(_) => {
                self.phase.set(Phase::Agreed);
                Ok(Ok(stream))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// How TLS is to be spoken.
    async fn side(&self, execution: &Rc<Execution>) -> Result<ClientSide, Fault> {
        let environment = execution.environment();
        let options = Options::new("TLSSocket", Some(self.options.clone()));
        let wrong = |why: String| Fault::error(format!("TLSSocket(): {why}"));
        let names = match options.array("tls_verify_name")? {
            Some(names) => {
                let texts: Result<Vec<_>, _> = names.values().map(|name| name.to_text()).collect();
                VerifyName::OneOf(texts?.iter().map(|name| name.to_string_lossy().into_owned()).collect())
            }
            None => VerifyName::Any,
        };
        let issuer = options.boolean("tls_verify_ca", false)? || options.boolean("tls_default_ca", false)?;
        let identity = match options.str("tls_client_cert")? {
            Some(named) => Some(identity(&environment.settings.pki, &named).map_err(wrong)?),
            None => None,
        };
        let list = |name: &str| -> Result<Option<String>, Fault> {
            Ok(options.str(name)?.map(|list| list.to_string_lossy().into_owned()))
        };
        let (versions, ciphers) = (list("tls_protocols")?, list("tls_ciphers")?);
        ClientSide::new(ClientOptions {
            protocols: protocols(versions.as_deref(), ciphers.as_deref()).map_err(wrong)?,
            issuers: if issuer { Some(environment.roots(true).await) } else { None },
            names,
            sni: match options.str("tls_sni")? {
                Some(name) => Sni::Name(name.to_string_lossy().into_owned()),
                None => Sni::Off,
            },
            identity,
        })
        .map_err(wrong)
    }

    /// Runs an operation within the time of the socket below.
    async fn run<T, E>(&self, operation: impl Future<Output = Result<T, E>>) -> Result<T, Refused> {
        let result = match self.below()?.timeout.get() {
            None => operation.await.map_err(drop),
            Some(timeout) => match engine::time::timeout(timeout, operation).await {
                Ok(result) => result.map_err(drop),
                Err(engine::time::Elapsed) => Err(()),
            },
        };
        result.map_err(|()| self.failed())
    }

    fn failed(&self) -> Refused {
        self.errno.set(SSL_ERROR_SSL);
        Refused
    }
}

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    call.object::<Socket>(0, "Socket")?;
    let options = call.opt_array(1)?.cloned().unwrap_or_default();
    let Value::Object(socket) = call.arg(0).clone() else { return Err(call.wrong(0, "a Socket")) };
    Ok(Object::host(TlsSocket {
        socket,
        options,
        phase: Cell::new(Phase::New),
        inbox: Inbox::default(),
        errno: Cell::new(0),
    })
    .into())
}

fn last_errno(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.this::<TlsSocket>()?.errno.get().into())
}

fn peer_certificate(call: &mut Call<'_>) -> Result<Value, Fault> {
    let socket: &TlsSocket = call.this()?;
    let stream = socket.below().ok().and_then(Socket::stream);
    let certificates = stream.map(|stream| stream.peer_certificates()).unwrap_or_default();
    let certificate = certificates.first().and_then(|der| Certificate::from_der(der));
    Ok(certificate.map(|certificate| certificate.object()).into())
}

fn to_socket(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.this::<TlsSocket>()?.socket.clone().into())
}

// ---- the host functions

fn handshake(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let agreed = call.this::<TlsSocket>()?.agreed(&execution).await?;
        Ok(if agreed.is_ok() { call.this_object()?.clone().into() } else { Value::None })
    })
}

fn send(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let socket = call.this::<TlsSocket>()?;
        let data = call.str(0)?;
        let Ok(stream) = socket.agreed(&execution).await? else { return Ok(Value::None) };
        let sent = socket.run(stream.send(Bytes::copy_from_slice(&data))).await;
        Ok(if sent.is_ok() { data.len().into() } else { Value::None })
    })
}

fn recv(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let socket = call.this::<TlsSocket>()?;
        let length = length_of(&call)?;
        let Ok(stream) = socket.agreed(&execution).await? else { return Ok(Value::None) };
        if socket.inbox.is_empty() && length > 0 {
            match socket.run(stream.recv()).await {
                // It was cut.
                Ok(bytes) if bytes.is_empty() && !stream.has_ended() => {
                    socket.failed();
                    return Ok(Value::None);
                }
                Ok(bytes) => socket.inbox.push(&bytes),
                Err(Refused) => return Ok(Value::None),
            }
        }
        Ok(socket.inbox.take(length, false)[..].into())
    })
}

fn shutdown(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let socket = call.this::<TlsSocket>()?;
        let Ok(stream) = socket.agreed(&execution).await? else { return Ok(Value::None) };
        let closed = socket.run(stream.close()).await;
        Ok(if closed.is_ok() { 1.into() } else { Value::None })
    })
}
