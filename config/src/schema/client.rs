//! `halonctl.yaml`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    key("version", TEXT, "Version of the file, `major.minor` in quotes; may be missing"),
    key(
        "environment",
        Shape::Object(&[
            key(
                "controlsockets",
                Shape::Object(&[key("smtpd", Shape::Object(SOCKET), "That of `smtpd`")]),
                "Control sockets by program",
            ),
            key("controlsocket", Shape::Object(SOCKET), "The same as `controlsockets.smtpd`"),
        ]),
        "Where the server is",
    ),
];

const SOCKET: &[Key] = &[
    key("path", PATH, "Unix socket").derived("/var/run/halon/smtpd.ctl"),
    key("port", PORT, "TCP port instead of `path`"),
    key("address", IP, "Address for the TCP port").derived("127.0.0.1"),
    key(
        "tls",
        Shape::Object(&[key(
            "client",
            Shape::Object(&[
                key("certificate", PEM, "Certificate that the server asks for"),
                key("privatekey", PEM, "Its key"),
                key("verify", BOOL, "Check the server's certificate, against what the system trusts")
                    .default("true"),
                key("verifyname", HOST_NAME, "Name to expect, also sent to the server").derived("address"),
            ]),
            "How to encrypt",
        )
        .optional("no TLS")]),
        "TLS on the TCP port",
    )
    .optional("no TLS"),
];
