//! A client that speaks TLS.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

/// An SMTP client over TLS.
#[derive(Debug)]
pub struct SecureClient {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl SecureClient {
    /// Connects, asks for `name`, and reads the greeting over TLS.
    ///
    /// # Errors
    /// Those of the handshake, and of a server that closes during it.
    pub fn implicit(port: u16, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<SecureClient> {
        let mut client = SecureClient::shake(connect(port)?, config, name)?;
        client.expect("220")?;
        Ok(client)
    }

    /// Connects, says EHLO and STARTTLS in clear, and asks for `name`.
    ///
    /// # Errors
    /// Those of the handshake, and of a server that closes during it or does not offer it.
    pub fn starttls(port: u16, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<SecureClient> {
        SecureClient::starttls_with(port, config, name, b"STARTTLS\r\n")
    }

    /// The same with other bytes than `STARTTLS` and its CRLF.
    ///
    /// # Errors
    /// As there.
    pub fn starttls_with(
        port: u16,
        config: &Arc<ClientConfig>,
        name: &str,
        command: &[u8],
    ) -> std::io::Result<SecureClient> {
        let mut plain = BufReader::new(connect(port)?);
        let mut said = String::new();
        plain.read_line(&mut said)?;
        plain.get_mut().write_all(b"EHLO client.test.example\r\n")?;
        loop {
            said.clear();
            plain.read_line(&mut said)?;
            if said.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        plain.get_mut().write_all(command)?;
        said.clear();
        plain.read_line(&mut said)?;
        if !said.starts_with("220") {
            return Err(std::io::Error::other(format!("STARTTLS: {said:?}")));
        }
        SecureClient::shake(plain.into_inner(), config, name)
    }

    fn shake(mut tcp: TcpStream, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<SecureClient> {
        let name = ServerName::try_from(name.to_owned()).expect("the test's own name");
        let mut session = ClientConnection::new(Arc::clone(config), name).expect("a good configuration");
        while session.is_handshaking() {
            session.complete_io(&mut tcp)?;
        }
        Ok(SecureClient { stream: BufReader::new(StreamOwned::new(session, tcp)) })
    }

    /// The server's certificate, DER.
    pub fn certificate(&self) -> Vec<u8> {
        let chain = self.stream.get_ref().conn.peer_certificates();
        chain.and_then(<[_]>::first).map(|leaf| leaf.to_vec()).unwrap_or_default()
    }

    /// Whether it continues an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.stream.get_ref().conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Sends a line and reads a reply that begins with `code`.
    ///
    /// # Errors
    /// Another reply, or none.
    pub fn command(&mut self, line: &str, code: &str) -> std::io::Result<String> {
        self.stream.get_mut().write_all(line.as_bytes())?;
        self.expect(code)
    }

    /// Sends bytes beside TLS, on the connection itself.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn write_past_tls(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().sock.write_all(bytes)
    }

    /// Reads a reply that begins with `code`.
    ///
    /// # Errors
    /// Another reply, or none.
    pub fn expect(&mut self, code: &str) -> std::io::Result<String> {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            if self.stream.read_line(&mut reply)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                break;
            }
        }
        match reply.starts_with(code) {
            true => Ok(reply),
            false => Err(std::io::Error::other(format!("expected {code}, got {reply:?}"))),
        }
    }

    /// Says EHLO, sends a message of these bytes, which have no dots at the start of lines, and QUIT.
    ///
    /// # Errors
    /// What the server refuses.
    pub fn send(&mut self, from: &str, to: &str, body: &str) -> std::io::Result<()> {
        self.command("EHLO client.test.example\r\n", "250")?;
        self.command(&format!("MAIL FROM:<{from}>\r\n"), "250")?;
        self.command(&format!("RCPT TO:<{to}>\r\n"), "250")?;
        self.command("DATA\r\n", "354")?;
        self.command(&format!("{body}.\r\n"), "250")?;
        self.command("QUIT\r\n", "221")?;
        Ok(())
    }
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
