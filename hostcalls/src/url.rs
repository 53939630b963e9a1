//! `url_parse`.

use net::http::Url;
use script::fault::Fault;
use script::native::{Call, Native};
use script::value::{Array, Value};

use crate::library::Family;

pub(crate) static FAMILY: Family = Family {
    natives: &[Native::inline(
        "url_parse",
        "string url [, array options]",
        (1, Some(2)),
        "Takes a URL apart: schema, username, password, hostname, port, path, query, fragment, as far as they are \
         there and as they were written. None when it is not one.",
        url_parse,
    )],
    ..Family::EMPTY
};

fn url_parse(call: &mut Call<'_>) -> Result<Value, Fault> {
    let Ok(url) = Url::parse(call.bytes(0)?) else { return Ok(Value::None) };
    call.options(1)?;
    let mut parts = Array::new();
    let path = Some(url.path).filter(|path| !path.is_empty());
    let texts = [
        ("schema", url.scheme),
        ("username", url.username),
        ("password", url.password),
        ("hostname", url.host.filter(|host| !host.is_empty())),
    ];
    for (name, text) in texts {
        text.into_iter().for_each(|text| parts.set_str(name, text));
    }
    url.port.into_iter().for_each(|port| parts.set_str("port", u32::from(port)));
    for (name, text) in [("path", path), ("query", url.query), ("fragment", url.fragment)] {
        text.into_iter().for_each(|text| parts.set_str(name, text));
    }
    Ok(parts.into())
}
