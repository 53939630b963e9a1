//! `geoip`: countries and networks' owners of addresses, from a database of MaxMind's format.

use std::net::IpAddr;
use std::rc::Rc;

use maxminddb::{MaxMindDbError, PathElement, Reader};
use script::fault::Fault;
use script::host::HostCall;
use script::value::{Array, Value};

use crate::Execution;
use crate::arguments::Arguments;
use crate::library::HostFuture;

/// A database, in memory.
pub(crate) struct GeoIp(Reader<Vec<u8>>);

impl std::fmt::Debug for GeoIp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GeoIp").field(&self.0.metadata().database_type).finish()
    }
}

/// Where in a record of which kind of database a property stands.
const TEXTS: [(&str, &[&str]); 3] = [
    ("country", &["country", "names", "en"]),
    ("iso_code", &["country", "iso_code"]),
    ("organization", &["autonomous_system_organization"]),
];

impl GeoIp {
    /// Reads a database.
    pub(crate) fn read(bytes: Vec<u8>) -> Result<GeoIp, String> {
        Reader::from_source(bytes).map(GeoIp).map_err(|error| error.to_string())
    }

    pub(crate) fn look_up(&self, address: IpAddr) -> Result<Array, MaxMindDbError> {
        let found = self.0.lookup(address)?;
        let mut result = Array::new();
        for (name, path) in TEXTS {
            let path: Vec<_> = path.iter().map(|key| PathElement::Key(key)).collect();
            if let Some(text) = found.decode_path::<&str>(&path)? {
                result.set_str(name, text);
            }
        }
        if let Some(number) = found.decode_path::<u32>(&[PathElement::Key("autonomous_system_number")])? {
            result.set_str("number", number);
        }
        Ok(result)
    }
}

/// `geoip(address)`
pub(super) fn geoip(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let text = call.str(0)?.to_string_lossy().into_owned();
        let database = execution.environment.settings.plugins.geoip.clone();
        let database = database.ok_or_else(|| Fault::error("geoip(): there is no database in plugins"))?;
        let found = match text.parse() {
            Ok(address) => database.look_up(address).map_err(|error| error.to_string()),
            Err(_) => Err("not an IP address".to_owned()),
        };
        Ok(found.map_or_else(error, Value::from))
    })
}

fn error(what: String) -> Value {
    let mut result = Array::new();
    result.set_str("error", what);
    result.into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a record is made of (MaxMind DB format 2.0, output data section).
    enum Data {
        Text(&'static str),
        Number(u32),
        Short(u16),
        Long(u64),
        /// Empty.
        List,
        Map(&'static [(&'static str, Data)]),
    }

    impl Data {
        fn write(&self, out: &mut Vec<u8>) {
            match self {
                Data::Text(text) => {
                    // Lengths from 29 on have another byte.
                    match u8::try_from(text.len()).unwrap() {
                        length if length < 29 => out.push(0x40 | length),
                        length => out.extend([0x40 | 29, length - 29]),
                    }
                    out.extend_from_slice(text.as_bytes());
                }
                Data::Number(number) => {
                    out.push(0xc4);
                    out.extend_from_slice(&number.to_be_bytes());
                }
                Data::Short(number) => {
                    out.push(0xa2);
                    out.extend_from_slice(&number.to_be_bytes());
                }
                Data::Long(number) => {
                    out.extend_from_slice(&[8, 2]);
                    out.extend_from_slice(&number.to_be_bytes());
                }
                Data::List => out.extend_from_slice(&[0, 4]),
                Data::Map(entries) => {
                    out.push(0xe0 | u8::try_from(entries.len()).unwrap());
                    for (key, value) in *entries {
                        Data::Text(key).write(out);
                        value.write(out);
                    }
                }
            }
        }
    }

    /// A database with one node: the lower half of the addresses has a record, the upper one has none.
    fn database(record: &Data) -> Vec<u8> {
        let mut bytes = vec![0, 0, 17, 0, 0, 1];
        bytes.extend_from_slice(&[0; 16]);
        record.write(&mut bytes);
        bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        const METADATA: Data = Data::Map(&[
            ("binary_format_major_version", Data::Short(2)),
            ("binary_format_minor_version", Data::Short(0)),
            ("build_epoch", Data::Long(1)),
            ("database_type", Data::Text("Test")),
            ("description", Data::Map(&[])),
            ("languages", Data::List),
            ("ip_version", Data::Short(4)),
            ("node_count", Data::Number(1)),
            ("record_size", Data::Short(24)),
        ]);
        METADATA.write(&mut bytes);
        bytes
    }

    pub(crate) fn countries() -> Vec<u8> {
        database(&Data::Map(&[(
            "country",
            Data::Map(&[
                ("iso_code", Data::Text("SE")),
                ("names", Data::Map(&[("en", Data::Text("Sweden"))])),
            ]),
        )]))
    }

    fn show(database: &GeoIp, address: &str) -> String {
        let found = database.look_up(address.parse().unwrap());
        found.map_or_else(|error| error.to_string(), |found| crate::on_engine::text(&found.into()))
    }

    #[test]
    fn countries_and_owners_are_found() {
        let of_country = GeoIp::read(countries()).unwrap();
        assert_eq!(show(&of_country, "1.2.3.4"), r#"["country"=>"Sweden","iso_code"=>"SE"]"#);
        assert_eq!(show(&of_country, "203.0.113.1"), "[]");
        let of_owner = Data::Map(&[
            ("autonomous_system_number", Data::Number(64496)),
            ("autonomous_system_organization", Data::Text("A network with a long name, Inc.")),
        ]);
        assert_eq!(
            show(&GeoIp::read(database(&of_owner)).unwrap(), "1.2.3.4"),
            r#"["organization"=>"A network with a long name, Inc.","number"=>64496]"#
        );
        assert!(show(&of_country, "2001:db8::1").contains("IPv6"), "{}", show(&of_country, "2001:db8::1"));
    }

    /// Cut, and with each byte changed.
    #[test]
    fn a_broken_database_is_an_error_and_no_panic() {
        let whole = countries();
        for cut in 0..whole.len() {
            let _ = GeoIp::read(whole[..cut].to_vec()).map(|database| show(&database, "1.2.3.4"));
        }
        for at in 0..whole.len() {
            for with in [0x01, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken[at] ^= with;
                let _ = GeoIp::read(broken).map(|database| show(&database, "1.2.3.4"));
            }
        }
        assert!(GeoIp::read(b"no database".to_vec()).is_err());
    }
}
