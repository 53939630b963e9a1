//! From a URL to a connection: addresses, proxies, TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::net::{Conn, Connect};
use engine::time::timeout;
use net::http::{Progress, Reader, Request, Url};
use tls::{ClientOptions, ClientSide, Protocols, Sni, Stream, VerifyName};

use super::exchange::Failed;
use super::options::HttpOptions;
use crate::dns::addresses;
use crate::secure::identity;
use crate::{Environment, Execution};

/// Most bytes of the body of a proxy's refusal that are read.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;

/// A connection that requests go over.
pub(super) struct Transport(Stream);

impl Transport {
    pub(super) async fn send(&self, data: Bytes) -> Result<(), Failed> {
        self.0.send(data).await.map_err(|_| Failed::Connection)
    }

    /// Empty at the end.
    pub(super) async fn recv(&self) -> Result<Bytes, Failed> {
        let bytes = self.0.recv().await.map_err(|_| Failed::Connection)?;
        // Somebody between the peers may have cut it.
        if bytes.is_empty() && self.0.is_encrypted() && !self.0.has_ended() {
            return Err(Failed::Connection);
        }
        Ok(Bytes::copy_from_slice(&bytes))
    }
}

/// The proxy for a request, if there is one.
pub(super) fn proxy(environment: &Environment, options: &HttpOptions) -> Result<Option<Url>, Failed> {
    let text = match (&options.unix_socket_path, &options.proxy, &environment.settings.http_proxy) {
        (Some(_), ..) => return Ok(None),
        (_, Some(named), _) => named.as_bytes(),
        (_, None, Some(configured)) => configured.as_bytes(),
        (_, None, None) => return Ok(None),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let text =
        if text.windows(3).any(|part| part == b"://") { text.to_vec() } else { [b"http://", text].concat() };
    let url = Url::parse(&text).map_err(|_| Failed::Request)?;
    match url.scheme.as_deref() == Some(b"http") && url.host.as_deref().is_some_and(|host| !host.is_empty()) {
        true => Ok(Some(url)),
        false => Err(Failed::Request),
    }
}

/// Connects for a request to `url`, within the time that the options give.
pub(super) async fn connect(
    execution: &Rc<Execution>,
    url: &Url,
    proxy: Option<&Url>,
    options: &HttpOptions,
) -> Result<Transport, Failed> {
    let connecting = async {
        let conn = match &options.unix_socket_path {
            Some(path) => {
                let path = path.to_string_lossy();
                Conn::connect_unix(Path::new(&*path)).await.map_err(|_| Failed::Connection)?
            }
            None => connect_to_host(execution, proxy.unwrap_or(url), options).await?,
        };
        let stream = Stream::plain(conn);
        if url.is_https() {
            if let Some(proxy) = proxy {
                open_tunnel(&stream, url, proxy).await?;
            }
            start_tls(execution, &stream, url, options).await?;
        }
        Ok(Transport(stream))
    };
    timeout(options.connect_timeout, connecting).await.unwrap_or(Err(Failed::Connection))
}

async fn connect_to_host(
    execution: &Rc<Execution>,
    url: &Url,
    options: &HttpOptions,
) -> Result<Conn, Failed> {
    let host = url.host.as_deref().unwrap_or_default();
    let addresses = addresses(&execution.environment, host, options.source).await;
    // Each address gets its share of the time, so that a dead one leaves some for the next.
    let patience = options.connect_timeout / addresses.len().clamp(1, 3) as u32;
    for address in addresses {
        let remote = SocketAddr::new(address, url.port_or_default());
        let local = options.source.filter(|source| source.is_ipv4() == address.is_ipv4());
        if let Ok(Ok(conn)) = timeout(patience, Conn::connect(Connect { remote, local })).await {
            return Ok(conn);
        }
    }
    Err(Failed::Connection)
}

/// Asks a proxy for a tunnel.
async fn open_tunnel(conn: &Stream, url: &Url, proxy: &Url) -> Result<(), Failed> {
    let host = url.host.as_deref().unwrap_or_default();
    let headers: Vec<_> =
        credentials(proxy).map(|value| (b"Proxy-Authorization".to_vec(), value)).into_iter().collect();
    let head = Request::encode_connect(host, url.port_or_default(), &headers).map_err(|_| Failed::Request)?;
    conn.send(head.into()).await.map_err(|_| Failed::Connection)?;
    let mut reader = Reader::new(true, REFUSAL_BYTES_MAX);
    loop {
        let bytes = conn.recv().await.map_err(|_| Failed::Connection)?;
        if bytes.is_empty() {
            return Err(Failed::Connection);
        }
        if reader.receive(&bytes).map_err(|_| Failed::Response)? == Progress::Done {
            break;
        }
    }
    match reader.into_response() {
        Some(response) if (200..300).contains(&response.status) => Ok(()),
        _ => Err(Failed::Connection),
    }
}

/// User name and password of a URL as a header's value (RFC 7617).
pub(super) fn credentials(url: &Url) -> Option<Vec<u8>> {
    let username = script::std::url::percent_decode(url.username.as_deref()?);
    let password = script::std::url::percent_decode(url.password.as_deref().unwrap_or_default());
    let both = [&username[..], b":", &password].concat();
    Some(format!("Basic {}", data_encoding::BASE64.encode(&both)).into_bytes())
}

async fn start_tls(
    execution: &Rc<Execution>,
    stream: &Stream,
    url: &Url,
    options: &HttpOptions,
) -> Result<(), Failed> {
    let environment = execution.environment();
    let host = String::from_utf8_lossy(url.host.as_deref().unwrap_or_default()).into_owned();
    let identity = match &options.client_cert {
        Some(named) => Some(identity(&environment.settings.pki, named).map_err(|_| Failed::Request)?),
        None => None,
    };
    let side = ClientSide::new(ClientOptions {
        protocols: Protocols::default(),
        issuers: if options.verify_peer { Some(environment.roots(true).await) } else { None },
        names: if options.verify_host { VerifyName::Host } else { VerifyName::Any },
        sni: Sni::Host,
        identity,
    });
    let side = side.map_err(|_| Failed::Request)?;
    stream.connect_tls(&side, &host).await.map(drop).map_err(|_| Failed::Connection)
}

/// No time at all would mean for ever elsewhere.
pub(super) fn or_for_ever(timeout: Option<Duration>) -> Duration {
    timeout.unwrap_or(Duration::from_secs(86_400))
}
