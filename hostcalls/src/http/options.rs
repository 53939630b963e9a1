//! The options of `http`.

use std::net::IpAddr;
use std::time::Duration;

use net::http::Header;
use script::fault::Fault;
use script::native::Options;
use script::value::Str;

use super::Signer;
use crate::{Environment, limits};

/// What a call asks for.
pub(super) struct HttpOptions {
    pub(super) extended_result: bool,
    pub(super) response_headers: bool,
    pub(super) method: Option<String>,
    pub(super) headers: Vec<Header>,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) body_bytes_max: u64,
    pub(super) redirects: u32,
    pub(super) source: Option<IpAddr>,
    /// Its id in the configuration, where no address was given.
    pub(super) source_id: Option<String>,
    pub(super) unix_socket_path: Option<Str>,
    /// None: that of the settings; empty: none.
    pub(super) proxy: Option<Str>,
    pub(super) verify_peer: bool,
    pub(super) verify_host: bool,
    pub(super) client_cert: Option<Str>,
    pub(super) signer: Option<Signer>,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            extended_result: false,
            response_headers: false,
            method: None,
            headers: Vec::new(),
            connect_timeout: limits::HTTP_CONNECT,
            timeout: None,
            body_bytes_max: limits::HTTP_BODY_BYTES_MAX as u64,
            redirects: 0,
            source: None,
            source_id: None,
            unix_socket_path: None,
            proxy: None,
            verify_peer: true,
            verify_host: false,
            client_cert: None,
            signer: None,
        }
    }
}

impl HttpOptions {
    /// Reads them. The older names of those for TLS begin with `ssl_`.
    pub(super) fn from(options: &Options) -> Result<HttpOptions, Fault> {
        if options.boolean("background", false)? {
            return Err(Fault::error(
                "http(): requests in the background are not made here; the extras http-background and http-bulk are",
            ));
        }
        let flag = |name: &str, default: bool| {
            let older = options.boolean(&format!("ssl_{name}"), default)?;
            options.boolean(&format!("tls_{name}"), older)
        };
        let seconds = |name: &str| -> Result<Option<Duration>, Fault> {
            let given = options.number(name)?.filter(|seconds| *seconds > 0.0);
            Ok(given.map(|seconds| Duration::from_secs_f64(seconds.min(86_400.0))))
        };
        // Read for its type: what is verified is verified against the certificates of the system in any case.
        flag("default_ca", false)?;
        let bound = options.number("max_file_size")?.filter(|bytes| *bytes > 0.0);
        let most = limits::HTTP_BODY_BYTES_MAX as u64;
        Ok(HttpOptions {
            extended_result: options.boolean("extended_result", false)?,
            response_headers: options.boolean("response_headers", false)?,
            method: options.str("method")?.map(|method| method.to_string_lossy().into_owned()),
            headers: headers(options)?,
            connect_timeout: seconds("connect_timeout")?.unwrap_or(limits::HTTP_CONNECT),
            timeout: seconds("timeout")?,
            body_bytes_max: bound.map_or(most, |bytes| (bytes as u64).min(most)),
            redirects: match options.number("redirects")?.unwrap_or(0.0) {
                number if number < 0.0 => limits::HTTP_REDIRECTS_MAX,
                number => (number as u32).min(limits::HTTP_REDIRECTS_MAX),
            },
            source: source(options)?,
            source_id: options.str("sourceipid")?.map(|id| id.to_string_lossy().into_owned()),
            unix_socket_path: options.str("unix_socket_path")?,
            proxy: options.str("proxy")?,
            verify_peer: flag("verify_peer", true)?,
            verify_host: flag("verify_host", false)?,
            client_cert: options.str("tls_client_cert")?,
            signer: signer(options)?,
        })
    }

    /// Looks up the source address where only its id was given.
    pub(super) fn with_source(self, environment: &Environment) -> Result<HttpOptions, Fault> {
        let Some(id) = self.source_id.as_deref().filter(|_| self.source.is_none()) else { return Ok(self) };
        let wrong = |why| Fault::error(format!("http(): option \"sourceipid\": {why}"));
        let (address, _) = crate::smtp::source_by_id(environment, id).map_err(wrong)?;
        Ok(HttpOptions { source: Some(address), ..self })
    }
}

/// Of `http_background`: the user name is the access key, the password its secret.
fn signer(options: &Options) -> Result<Option<Signer>, Fault> {
    let Some(parameters) = options.str("aws_sigv4")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let text = |name: &str| -> Result<String, Fault> {
        Ok(options.str(name)?.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default())
    };
    let signer = Signer::parse(&parameters.to_string_lossy(), &text("username")?, &text("password")?);
    signer.map(Some).ok_or_else(|| {
        Fault::error("http(): option \"aws_sigv4\" must be provider[:prefix[:region[:service]]], as aws:amz:us-east-1:es")
    })
}

fn source(options: &Options) -> Result<Option<IpAddr>, Fault> {
    let Some(text) = options.str("sourceip")? else { return Ok(None) };
    match text.to_string_lossy().parse() {
        Ok(address) => Ok(Some(address)),
        Err(_) => Err(Fault::error("http(): option \"sourceip\" must be an IP address")),
    }
}

/// `Name: value`; without a value it takes a default header away.
fn headers(options: &Options) -> Result<Vec<Header>, Fault> {
    let mut headers = Vec::new();
    for line in options.array("headers")?.unwrap_or_default().values() {
        let bad = || Fault::error("http(): option \"headers\" must be a list of \"Name: value\"");
        let line = line.as_bytes().ok_or_else(bad)?;
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(bad)?;
        headers.push((line[..colon].trim_ascii().to_vec(), line[colon + 1..].trim_ascii().to_vec()));
    }
    Ok(headers)
}
