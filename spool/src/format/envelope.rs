//! What is known of a message, as bytes: fixed fields, a table of shared values, recipients, tagged fields.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::codec::{Bad, Get, Put};
use crate::types::{Envelope, Recipient};

const EIGHT_BIT: u8 = 1;
const SMTPUTF8: u8 = 2;
const PEER_V4: u8 = 4;
const PEER_V6: u8 = 8;
const AUTH: u8 = 16;
/// How far back the table of shared values is searched: equal values come close to each other.
const SHARE_WINDOW: usize = 16;
/// Reference to no table entry: the domain is what follows the last `@` of the address.
const DOMAIN_OF_ADDRESS: u64 = 0;

/// Appends `envelope`, of a message of `size_bytes` (prefix and body).
pub fn encode(out: &mut Vec<u8>, envelope: &Envelope, size_bytes: u64) {
    let peer = match envelope.peer {
        None => 0,
        Some(SocketAddr::V4(_)) => PEER_V4,
        Some(SocketAddr::V6(_)) => PEER_V6,
    };
    let flag = |set, bit: u8| if set { bit } else { 0 };
    let flags = flag(envelope.eight_bit, EIGHT_BIT)
        | flag(envelope.smtputf8, SMTPUTF8)
        | flag(envelope.auth_user.is_some(), AUTH)
        | peer;
    out.put_u8(flags);
    out.extend_from_slice(&envelope.transaction);
    out.put_varint(envelope.received_ms);
    out.put_varint(size_bytes);
    if let Some(peer) = envelope.peer {
        match peer.ip() {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
        out.put_u16(peer.port());
    }
    out.put_string(&envelope.server_id);
    out.put_string(&envelope.sender);
    out.put_string(&envelope.helo);
    if let Some(user) = &envelope.auth_user {
        out.put_string(user);
    }
    put_fields(out, &envelope.fields);
    put_recipients(out, &envelope.recipients);
}

fn put_fields(out: &mut Vec<u8>, fields: &[(u16, Bytes)]) {
    out.put_varint(fields.len() as u64);
    for (tag, value) in fields {
        out.put_varint(u64::from(*tag));
        out.put_string(value);
    }
}

/// Shared values are written where they first occur, then referred to by number (from 1).
pub(crate) fn put_recipients(out: &mut Vec<u8>, recipients: &[Recipient]) {
    let mut table: Vec<&[u8]> = Vec::new();
    out.put_varint(recipients.len() as u64);
    for recipient in recipients {
        out.put_string(&recipient.address);
        put_shared(out, &mut table, &recipient.transport);
        if *recipient.domain == *domain_of(&recipient.address) {
            out.put_varint(DOMAIN_OF_ADDRESS);
        } else {
            put_shared(out, &mut table, &recipient.domain);
        }
        out.put_varint(recipient.fields.len() as u64);
        for (tag, value) in &recipient.fields {
            out.put_varint(u64::from(*tag));
            put_shared(out, &mut table, value);
        }
    }
}

fn put_shared<'v>(out: &mut Vec<u8>, table: &mut Vec<&'v [u8]>, value: &'v [u8]) {
    let from = table.len().saturating_sub(SHARE_WINDOW);
    match table[from..].iter().position(|known| *known == value) {
        Some(at) => out.put_varint((from + at + 1) as u64),
        None => {
            table.push(value);
            out.put_varint(table.len() as u64);
            out.put_string(value);
        }
    }
}

/// What follows the last `@`.
fn domain_of(address: &[u8]) -> &[u8] {
    address.iter().rposition(|byte| *byte == b'@').map_or(&[], |at| &address[at + 1..])
}

/// Reads an envelope from the rest of `bytes`; its strings share `bytes`. What a later release appended is ignored.
pub fn decode(bytes: &Bytes) -> Result<(Envelope, u64), Bad> {
    let mut get = Get::new(bytes);
    let share = |part: &[u8]| bytes.slice_ref(part);
    let flags = get.u8()?;
    let transaction = get.array()?;
    let received_ms = get.varint()?;
    let size_bytes = get.varint()?;
    let ip = match flags & (PEER_V4 | PEER_V6) {
        0 => None,
        PEER_V4 => Some(IpAddr::from(get.array::<4>()?)),
        PEER_V6 => Some(IpAddr::from(get.array::<16>()?)),
        _ => return Err(Bad::Value("peer")),
    };
    let peer = match ip {
        None => None,
        Some(ip) => Some(SocketAddr::new(ip, get.u16()?)),
    };
    let envelope = Envelope {
        transaction,
        received_ms,
        peer,
        eight_bit: flags & EIGHT_BIT != 0,
        smtputf8: flags & SMTPUTF8 != 0,
        server_id: share(get.string()?),
        sender: share(get.string()?),
        helo: share(get.string()?),
        auth_user: if flags & AUTH != 0 { Some(share(get.string()?)) } else { None },
        fields: fields(&mut get, bytes)?,
        recipients: recipients(&mut get, bytes)?,
    };
    Ok((envelope, size_bytes))
}

fn tag(get: &mut Get<'_>) -> Result<u16, Bad> {
    u16::try_from(get.varint()?).map_err(|_| Bad::Value("tag"))
}

fn fields(get: &mut Get<'_>, base: &Bytes) -> Result<Vec<(u16, Bytes)>, Bad> {
    let count = get.count(2)?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        fields.push((tag(get)?, base.slice_ref(get.string()?)));
    }
    Ok(fields)
}

pub(crate) fn recipients(get: &mut Get<'_>, base: &Bytes) -> Result<Vec<Recipient>, Bad> {
    let mut table: Vec<Bytes> = Vec::new();
    let count = get.count(4)?;
    let mut recipients = Vec::with_capacity(count);
    for _ in 0..count {
        let address = base.slice_ref(get.string()?);
        let reference = get.varint()?;
        let transport = shared(get, base, &mut table, reference)?;
        let reference = get.varint()?;
        let domain = if reference == DOMAIN_OF_ADDRESS {
            let domain = domain_of(&address);
            address.slice(address.len() - domain.len()..)
        } else {
            shared(get, base, &mut table, reference)?
        };
        let count = get.count(2)?;
        let mut fields = Vec::with_capacity(count);
        for _ in 0..count {
            let tag = tag(get)?;
            let reference = get.varint()?;
            fields.push((tag, shared(get, base, &mut table, reference)?));
        }
        recipients.push(Recipient { address, transport, domain, fields });
    }
    Ok(recipients)
}

fn shared(get: &mut Get<'_>, base: &Bytes, table: &mut Vec<Bytes>, reference: u64) -> Result<Bytes, Bad> {
    let known = table.len() as u64;
    if reference == known + 1 {
        table.push(base.slice_ref(get.string()?));
    } else if reference == 0 || reference > known {
        return Err(Bad::Value("reference"));
    }
    Ok(table[reference as usize - 1].clone())
}
