//! The properties of a queue, as librdkafka names them.

use std::time::Duration;

use config::{KafkaQueue, ServiceTls};

/// A producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(super) brokers: Vec<(String, u16)>,
    pub(super) client: String,
    /// 0, 1, or -1 for all.
    pub(super) acks: i16,
    /// How long all tries for a message may take.
    pub(super) patience: Duration,
    pub(super) tls: ServiceTls,
    /// Name and password, for PLAIN.
    pub(super) login: Option<(String, String)>,
}

impl Settings {
    /// Reads the properties. `wrong` hears of those that do nothing here.
    ///
    /// # Errors
    /// One is wrong, or there are no brokers.
    pub(crate) fn read(queue: &KafkaQueue, wrong: &mut dyn FnMut(&str)) -> Result<Settings, String> {
        let mut settings = Settings {
            brokers: Vec::new(),
            client: "rdkafka".to_owned(),
            acks: -1,
            patience: Duration::from_secs(30),
            tls: ServiceTls { enabled: Some(false), verify_peer: true, verify_host: true },
            login: None,
        };
        let (mut sasl, mut user, mut password) = (false, None, None);
        for (name, value) in &queue.properties {
            let bad = || format!("{name}: \"{value}\" is not possible here");
            match &**name {
                "bootstrap.servers" | "metadata.broker.list" => {
                    settings.brokers = value.split(',').map(broker).collect::<Option<_>>().ok_or_else(bad)?;
                }
                "client.id" => settings.client.clone_from(value),
                "acks" | "request.required.acks" => {
                    settings.acks = match &**value {
                        "all" | "-1" => -1,
                        "1" => 1,
                        _ => return Err(bad()),
                    };
                }
                "message.timeout.ms" | "delivery.timeout.ms" => {
                    let ms = value.parse().ok().filter(|ms| (1..=600_000).contains(ms)).ok_or_else(bad)?;
                    settings.patience = Duration::from_millis(ms);
                }
                "security.protocol" => {
                    (settings.tls.enabled, sasl) = match &*value.to_ascii_lowercase() {
                        "plaintext" => (Some(false), false),
                        "ssl" => (Some(true), false),
                        "sasl_plaintext" => (Some(false), true),
                        "sasl_ssl" => (Some(true), true),
                        _ => return Err(bad()),
                    };
                }
                "sasl.mechanism" | "sasl.mechanisms" if value == "PLAIN" => {}
                "sasl.mechanism" | "sasl.mechanisms" => return Err(bad()),
                "sasl.username" => user = Some(value.clone()),
                "sasl.password" => password = Some(value.clone()),
                "enable.ssl.certificate.verification" => settings.tls.verify_peer = value == "true",
                "ssl.endpoint.identification.algorithm" => settings.tls.verify_host = value != "none",
                _ => wrong(&format!("the property {name} does nothing here")),
            }
        }
        if sasl {
            let both = user.zip(password);
            settings.login = Some(both.ok_or("sasl.username and sasl.password are needed")?);
        }
        if settings.brokers.is_empty() { Err("bootstrap.servers is needed".to_owned()) } else { Ok(settings) }
    }
}

/// `host[:port]`
fn broker(text: &str) -> Option<(String, u16)> {
    let text = text.trim();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, 9092),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read() {
        let read = |properties: &[(&str, &str)]| {
            let properties =
                properties.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let mut told = Vec::new();
            let queue = KafkaQueue { id: "q".into(), properties };
            (Settings::read(&queue, &mut |what| told.push(what.to_owned())), told)
        };
        let (settings, told) = read(&[
            ("bootstrap.servers", "a, b:1"),
            ("acks", "1"),
            ("security.protocol", "SASL_SSL"),
            ("sasl.username", "u"),
            ("sasl.password", "p"),
            ("linger.ms", "5"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.brokers, [("a".to_owned(), 9092), ("b".to_owned(), 1)]);
        assert_eq!((settings.acks, settings.tls.enabled), (1, Some(true)));
        assert_eq!(settings.login, Some(("u".to_owned(), "p".to_owned())));
        assert_eq!(told, ["the property linger.ms does nothing here"]);
        for bad in [
            &[][..],
            &[("bootstrap.servers", "a:x")],
            &[("bootstrap.servers", "a"), ("acks", "0")],
            &[("bootstrap.servers", "a"), ("security.protocol", "sasl_ssl")],
            &[("bootstrap.servers", "a"), ("sasl.mechanism", "GSSAPI")],
        ] {
            assert!(read(bad).0.is_err(), "{bad:?}");
        }
    }
}
