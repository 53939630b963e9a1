//! What crosses the wire between a client and a server of MariaDB or MySQL: the classic protocol, with results as text.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

const CLIENT_LONG_PASSWORD: u32 = 1;
const CLIENT_CONNECT_WITH_DB: u32 = 1 << 3;
const CLIENT_PROTOCOL_41: u32 = 1 << 9;
pub(super) const CLIENT_SSL: u32 = 1 << 11;
const CLIENT_TRANSACTIONS: u32 = 1 << 13;
const CLIENT_SECURE_CONNECTION: u32 = 1 << 15;
const CLIENT_MULTI_RESULTS: u32 = 1 << 17;
const CLIENT_PLUGIN_AUTH: u32 = 1 << 19;
/// Most bytes of a packet that we say we take.
const MAX_PACKET: u32 = 64 << 20;
/// utf8mb4_general_ci
const CHARSET: u8 = 45;
/// A transaction is under way.
const STATUS_IN_TRANS: u16 = 1;
/// Another result follows.
const STATUS_MORE_RESULTS: u16 = 8;

/// The bytes are not what the protocol has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPacket;

/// What is left of a packet.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], BadPacket> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(BadPacket)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self, length: usize) -> Result<u64, BadPacket> {
        let bytes = self.bytes(length)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// Up to a zero byte, or to the end.
    fn text(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = &self.0[..end];
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        text
    }

    /// A number that says how long it is; none stands for NULL.
    fn length(&mut self) -> Result<Option<u64>, BadPacket> {
        match self.number(1)? {
            0xfb => Ok(None),
            0xfc => self.number(2).map(Some),
            0xfd => self.number(3).map(Some),
            0xfe => self.number(8).map(Some),
            0xff => Err(BadPacket),
            small => Ok(Some(small)),
        }
    }

    /// A text that says how long it is.
    fn counted(&mut self) -> Result<Option<&'a [u8]>, BadPacket> {
        match self.length()? {
            None => Ok(None),
            Some(length) => self.bytes(usize::try_from(length).map_err(|_| BadPacket)?).map(Some),
        }
    }
}

/// What a server begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) capabilities: u32,
    pub(super) nonce: Vec<u8>,
    pub(super) plugin: String,
}

/// What a server says to a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ok {
        affected: u64,
        in_transaction: bool,
        more: bool,
    },
    Error(SqlError),
    /// Rows with so many columns follow.
    Rows(u64),
    /// It wants a file of ours.
    File,
}

/// What a server says while we log in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LoginStep {
    Done,
    Error(SqlError),
    /// In another way, with another nonce.
    Switch(String, Vec<u8>),
    More(Vec<u8>),
}

/// An error of a server, or of ours in its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SqlError {
    pub(super) number: u16,
    pub(super) state: String,
    pub(super) text: String,
}

/// A packet after columns or among rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RowPacket {
    Row(Vec<Option<Vec<u8>>>),
    End { in_transaction: bool, more: bool },
    Error(SqlError),
}

pub(super) fn greeting(packet: &[u8]) -> Result<Result<Greeting, SqlError>, BadPacket> {
    let mut cursor = Cursor(packet);
    match cursor.number(1)? {
        10 => {}
        0xff => return error(&mut cursor).map(Err),
        _ => return Err(BadPacket),
    }
    cursor.text();
    cursor.number(4)?;
    let mut nonce = cursor.bytes(8)?.to_vec();
    cursor.number(1)?;
    let mut capabilities = cursor.number(2)? as u32;
    if cursor.0.is_empty() {
        return Err(BadPacket);
    }
    cursor.number(1)?;
    cursor.number(2)?;
    capabilities |= (cursor.number(2)? as u32) << 16;
    let length = cursor.number(1)? as usize;
    cursor.bytes(10)?;
    let rest = cursor.bytes(length.saturating_sub(8).max(13).min(cursor.0.len()))?;
    nonce.extend(rest);
    nonce.truncate(20);
    let plugin = String::from_utf8_lossy(cursor.text()).into_owned();
    Ok(Ok(Greeting { capabilities, nonce, plugin }))
}

/// What we can do; `ssl` asks for TLS, and then that is all.
pub(super) fn capabilities(server: u32, database: bool, ssl: bool) -> u32 {
    let mut ours = CLIENT_LONG_PASSWORD
        | CLIENT_PROTOCOL_41
        | CLIENT_TRANSACTIONS
        | CLIENT_SECURE_CONNECTION
        | CLIENT_MULTI_RESULTS
        | CLIENT_PLUGIN_AUTH;
    if database {
        ours |= CLIENT_CONNECT_WITH_DB;
    }
    if ssl {
        ours |= CLIENT_SSL;
    }
    ours & (server | CLIENT_PROTOCOL_41)
}

/// The first part of a login, which asks for TLS when it stands alone.
pub(super) fn login_head(capabilities: u32) -> Vec<u8> {
    let mut packet = capabilities.to_le_bytes().to_vec();
    packet.extend(MAX_PACKET.to_le_bytes());
    packet.push(CHARSET);
    packet.extend([0; 23]);
    packet
}

/// Who we are.
pub(super) fn login(
    capabilities: u32,
    user: &str,
    proof: &[u8],
    database: Option<&str>,
    plugin: &str,
) -> Vec<u8> {
    let mut packet = login_head(capabilities);
    packet.extend(user.as_bytes());
    packet.push(0);
    packet.push(proof.len() as u8);
    packet.extend(proof);
    if let Some(database) = database {
        packet.extend(database.as_bytes());
        packet.push(0);
    }
    packet.extend(plugin.as_bytes());
    packet.push(0);
    packet
}

/// The proof of a password for a way to log in; none: that way is not known.
pub(super) fn proof(plugin: &str, password: &[u8], nonce: &[u8]) -> Option<Vec<u8>> {
    let nonce = &nonce[..nonce.len().min(20)];
    match plugin {
        "mysql_native_password" | "caching_sha2_password" if password.is_empty() => Some(Vec::new()),
        "mysql_native_password" => {
            let once = Sha1::digest(password);
            let twice = Sha1::digest(once);
            let mask = Sha1::new().chain_update(nonce).chain_update(twice).finalize();
            Some(once.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect())
        }
        "caching_sha2_password" => {
            let once = Sha256::digest(password);
            let twice = Sha256::digest(once);
            let mask = Sha256::new().chain_update(twice).chain_update(nonce).finalize();
            Some(once.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect())
        }
        _ => None,
    }
}

pub(super) fn login_step(packet: &[u8]) -> Result<LoginStep, BadPacket> {
    let mut cursor = Cursor(packet);
    match cursor.number(1)? {
        0 => Ok(LoginStep::Done),
        1 => Ok(LoginStep::More(cursor.0.to_vec())),
        0xfe if cursor.0.is_empty() => Err(BadPacket),
        0xfe => {
            let plugin = String::from_utf8_lossy(cursor.text()).into_owned();
            let nonce = cursor.0.strip_suffix(&[0]).unwrap_or(cursor.0);
            Ok(LoginStep::Switch(plugin, nonce.to_vec()))
        }
        0xff => error(&mut cursor).map(LoginStep::Error),
        _ => Err(BadPacket),
    }
}

pub(super) fn answer(packet: &[u8]) -> Result<Answer, BadPacket> {
    let mut cursor = Cursor(packet);
    match packet.first() {
        Some(0) => {
            cursor.number(1)?;
            let affected = cursor.length()?.ok_or(BadPacket)?;
            cursor.length()?;
            let status = cursor.number(2)? as u16;
            let (in_transaction, more) = flags(status);
            Ok(Answer::Ok { affected, in_transaction, more })
        }
        Some(0xff) => {
            cursor.number(1)?;
            error(&mut cursor).map(Answer::Error)
        }
        Some(0xfb) => Ok(Answer::File),
        _ => cursor.length()?.filter(|columns| *columns > 0).map(Answer::Rows).ok_or(BadPacket),
    }
}

/// The name of a column.
pub(super) fn column(packet: &[u8]) -> Result<String, BadPacket> {
    let mut cursor = Cursor(packet);
    for _before in 0..4 {
        cursor.counted()?;
    }
    let name = cursor.counted()?.ok_or(BadPacket)?;
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// A row, or what ends rows or columns.
pub(super) fn row(packet: &[u8], columns: usize) -> Result<RowPacket, BadPacket> {
    let mut cursor = Cursor(packet);
    match packet.first() {
        Some(0xfe) if packet.len() < 9 => {
            cursor.number(3)?;
            let (in_transaction, more) = flags(cursor.number(2)? as u16);
            return Ok(RowPacket::End { in_transaction, more });
        }
        Some(0xff) => {
            cursor.number(1)?;
            return error(&mut cursor).map(RowPacket::Error);
        }
        _ => {}
    }
    let mut values = Vec::new();
    for _column in 0..columns {
        values.push(cursor.counted()?.map(<[u8]>::to_vec));
    }
    if cursor.0.is_empty() { Ok(RowPacket::Row(values)) } else { Err(BadPacket) }
}

fn flags(status: u16) -> (bool, bool) {
    (status & STATUS_IN_TRANS != 0, status & STATUS_MORE_RESULTS != 0)
}

/// Behind its first byte.
fn error(cursor: &mut Cursor<'_>) -> Result<SqlError, BadPacket> {
    let number = cursor.number(2)? as u16;
    let mut state = "HY000".to_owned();
    if let Some(rest) = cursor.0.strip_prefix(b"#") {
        cursor.0 = rest;
        state = String::from_utf8_lossy(cursor.bytes(5)?).into_owned();
    }
    Ok(SqlError { number, state, text: String::from_utf8_lossy(cursor.0).into_owned() })
}

/// A text as it may stand within quotes.
pub(super) fn escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        let letter = match byte {
            0 => b'0',
            b'\n' => b'n',
            b'\r' => b'r',
            0x1a => b'Z',
            b'\\' | b'\'' | b'"' => *byte,
            _ => {
                escaped.push(*byte);
                continue;
            }
        };
        escaped.extend([b'\\', letter]);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What MariaDB 10.11 begins with.
    const GREETING: &[u8] = b"\x0a5.5.5-10.11.6-MariaDB\0\x1e\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";
    const SELECTED: &[&[u8]] = &[
        b"\x01",
        b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x03\x81\0\0\0\0",
        b"\xfe\0\0\x02\0",
        b"\x02hi",
        b"\xfb",
    ];
    const ERROR: &[u8] = b"\xff\x28\x04#42000You have an error";

    #[test]
    fn packets_are_read() {
        let greeting = greeting(GREETING).unwrap().unwrap();
        assert_eq!(
            (&greeting.nonce[..], &*greeting.plugin),
            (&b"abcdefghijklmnopqrst"[..], "mysql_native_password")
        );
        assert_eq!(greeting.capabilities, 0x81ff_f7fe);
        assert_eq!(answer(SELECTED[0]), Ok(Answer::Rows(1)));
        assert_eq!(column(SELECTED[1]).as_deref(), Ok("a"));
        assert_eq!(row(SELECTED[2], 1), Ok(RowPacket::End { in_transaction: false, more: false }));
        assert_eq!(row(SELECTED[3], 1), Ok(RowPacket::Row(vec![Some(b"hi".to_vec())])));
        assert_eq!(row(SELECTED[4], 1), Ok(RowPacket::Row(vec![None])));
        let error = SqlError { number: 1064, state: "42000".into(), text: "You have an error".into() };
        assert_eq!(answer(ERROR), Ok(Answer::Error(error)));
        assert_eq!(
            answer(b"\0\x02\0\x03\0\0\0"),
            Ok(Answer::Ok { affected: 2, in_transaction: true, more: false })
        );
        assert_eq!(answer(b"\xfb/etc/passwd"), Ok(Answer::File));
    }

    /// By hand, with other tools: `SHA1(p) XOR SHA1(nonce + SHA1(SHA1(p)))`, and the same with SHA-256.
    #[test]
    fn passwords_are_proven() {
        let nonce = b"abcdefghijklmnopqrst";
        let hex = |plugin: &str| data_encoding::HEXLOWER.encode(&proof(plugin, b"secret", nonce).unwrap());
        assert_eq!(hex("mysql_native_password"), "8817c50fa779daef010ee7577825b0847df9842e");
        assert_eq!(
            hex("caching_sha2_password"),
            "c76e2898612a4cf042c77fa8c4702c4c64c0c2c557c53c4d75595aaa6abae809"
        );
        assert_eq!(proof("mysql_native_password", b"", nonce), Some(Vec::new()));
        assert_eq!(proof("client_ed25519", b"secret", nonce), None);
    }

    #[test]
    fn what_is_cut_or_spoiled_is_no_panic() {
        let all = [GREETING, ERROR, b"\0\x02\0\x03\0\0\0"].into_iter().chain(SELECTED.iter().copied());
        for packet in all {
            for end in 0..=packet.len() {
                for byte in [0, 1, 0x7f, 0xfb, 0xfc, 0xfd, 0xfe, 0xff] {
                    let mut spoiled = packet[..end].to_vec();
                    if let Some(last) = spoiled.last_mut() {
                        *last = byte;
                    }
                    let _ = (greeting(&spoiled), login_step(&spoiled), answer(&spoiled), column(&spoiled));
                    let _ = (row(&spoiled, 1), row(&spoiled, 3));
                }
            }
        }
        assert_eq!(row(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffx", 1), Err(BadPacket));
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escape(b"it's \"a\" \\ \0\n\r\x1a"), b"it\\'s \\\"a\\\" \\\\ \\0\\n\\r\\Z");
    }
}
