//! Frames and methods of AMQP 0-9-1, as far as publishing takes.

/// Ends each frame.
const FRAME_END: u8 = 0xce;
pub(super) const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// Largest frame that we take.
pub(super) const FRAME_BYTES_MAX: u32 = 128 * 1024;
/// The channel that we open.
pub(super) const CHANNEL: u16 = 1;

/// The bytes are no frame, or no method that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadFrame;

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Method {
    Start {
        mechanisms: String,
    },
    Tune {
        channels: u16,
        frame_bytes: u32,
        heartbeat_s: u16,
    },
    OpenOk,
    Close {
        code: u16,
        text: String,
    },
    CloseOk,
    ChannelOpenOk,
    ChannelClose {
        code: u16,
        text: String,
    },
    SelectOk,
    Return {
        code: u16,
        text: String,
    },
    Ack,
    Nack,
    /// The server is short of something.
    Blocked {
        reason: String,
    },
    Unblocked,
    /// The header or the body of a message that comes back, or a sign of life.
    Other,
}

/// A string of at most 255 bytes; longer ones are cut.
fn short(out: &mut Vec<u8>, text: &[u8]) {
    let text = &text[..text.len().min(255)];
    out.push(text.len() as u8);
    out.extend(text);
}

fn long(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u32).to_be_bytes());
    out.extend(text);
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(channel.to_be_bytes());
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend(payload);
    out.push(FRAME_END);
    out
}

fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    frame(1, channel, &payload)
}

/// Who we are, and that we want to hear of refused messages and logins, and of want.
pub(super) fn start_ok(username: &[u8], password: &[u8]) -> Vec<u8> {
    let mut capabilities = Vec::new();
    for name in
        [&b"publisher_confirms"[..], b"basic.nack", b"connection.blocked", b"authentication_failure_close"]
    {
        short(&mut capabilities, name);
        capabilities.extend(b"t\x01");
    }
    let mut properties = Vec::new();
    short(&mut properties, b"capabilities");
    properties.push(b'F');
    long(&mut properties, &capabilities);
    let mut arguments = Vec::new();
    long(&mut arguments, &properties);
    short(&mut arguments, b"PLAIN");
    long(&mut arguments, &[b"\0", username, b"\0", password].concat());
    short(&mut arguments, b"en_US");
    method(0, 10, 11, &arguments)
}

/// What we agree to, and the virtual host that we want.
pub(super) fn tune_ok_and_open(frame_bytes: u32, vhost: &[u8]) -> Vec<u8> {
    let mut tune = 1_u16.to_be_bytes().to_vec();
    tune.extend(frame_bytes.to_be_bytes());
    // Signs of life would have to come while a connection rests: it is made again instead.
    tune.extend(0_u16.to_be_bytes());
    let mut open = Vec::new();
    short(&mut open, vhost);
    open.extend([0, 0]);
    [method(0, 10, 31, &tune), method(0, 10, 40, &open)].concat()
}

/// Opens the channel, and asks for confirmations.
pub(super) fn open_channel() -> Vec<u8> {
    [method(CHANNEL, 20, 10, &[0]), method(CHANNEL, 85, 10, &[0])].concat()
}

pub(super) fn close_ok() -> Vec<u8> {
    method(0, 10, 51, &[])
}

/// A message for an exchange.
pub(super) struct Message<'a> {
    pub(super) exchange: &'a [u8],
    pub(super) routing_key: &'a [u8],
    pub(super) content_type: &'a [u8],
    pub(super) persistent: bool,
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    /// The method, the header, and the body in as many frames as it takes.
    pub(super) fn encode(&self, frame_bytes: u32) -> Vec<u8> {
        let mut publish = vec![0, 0];
        short(&mut publish, self.exchange);
        short(&mut publish, self.routing_key);
        publish.push(0);
        let mut out = method(CHANNEL, 60, 40, &publish);
        let mut header = 60_u16.to_be_bytes().to_vec();
        header.extend([0, 0]);
        header.extend((self.body.len() as u64).to_be_bytes());
        // content-type and delivery-mode
        header.extend([0x90, 0x00]);
        short(&mut header, self.content_type);
        header.push(if self.persistent { 2 } else { 1 });
        out.extend(frame(2, CHANNEL, &header));
        for piece in self.body.chunks(frame_bytes as usize - 8) {
            out.extend(frame(3, CHANNEL, piece));
        }
        out
    }
}

/// The length of the frame that `input` begins with, if that can be told.
pub(super) fn length(input: &[u8]) -> Result<Option<usize>, BadFrame> {
    match input {
        [1..=3 | 8, _, _, a, b, c, d, ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            if length > FRAME_BYTES_MAX { Err(BadFrame) } else { Ok(Some(length as usize + 8)) }
        }
        // A server of another version says which one it wants.
        [1..=3 | 8, ..] | [] => Ok(None),
        _ => Err(BadFrame),
    }
}

/// What a whole frame says.
pub(super) fn read(bytes: &[u8]) -> Result<Method, BadFrame> {
    let (Some(&FRAME_END), Some(&kind)) = (bytes.last(), bytes.first()) else { return Err(BadFrame) };
    let payload = bytes.get(7..bytes.len() - 1).ok_or(BadFrame)?;
    if kind != 1 {
        return Ok(Method::Other);
    }
    let mut reader = Reader(payload);
    let (class, method) = (reader.u16()?, reader.u16()?);
    Ok(match (class, method) {
        (10, 10) => {
            reader.take(2)?;
            reader.long()?;
            Method::Start { mechanisms: text(reader.long()?) }
        }
        (10, 30) => {
            Method::Tune { channels: reader.u16()?, frame_bytes: reader.u32()?, heartbeat_s: reader.u16()? }
        }
        (10, 41) => Method::OpenOk,
        (10, 50) => Method::Close { code: reader.u16()?, text: text(reader.short()?) },
        (10, 51) => Method::CloseOk,
        (10, 60) => Method::Blocked { reason: text(reader.short()?) },
        (10, 61) => Method::Unblocked,
        (20, 11) => Method::ChannelOpenOk,
        (20, 40) => Method::ChannelClose { code: reader.u16()?, text: text(reader.short()?) },
        (60, 50) => Method::Return { code: reader.u16()?, text: text(reader.short()?) },
        (60, 80) => Method::Ack,
        (60, 120) => Method::Nack,
        (85, 11) => Method::SelectOk,
        _ => return Err(BadFrame),
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], BadFrame> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(BadFrame)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn u16(&mut self) -> Result<u16, BadFrame> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, BadFrame> {
        self.take(4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn short(&mut self) -> Result<&'a [u8], BadFrame> {
        let length = self.take(1)?[0];
        self.take(usize::from(length))
    }

    fn long(&mut self) -> Result<&'a [u8], BadFrame> {
        let length = self.u32()?;
        self.take(length as usize)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &[u8] = b"\x01\0\0\0\0\0\x1c\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US\xce";
    const TUNE: &[u8] = b"\x01\0\0\0\0\0\x0c\0\x0a\0\x1e\x07\xff\0\x02\0\0\0\x3c\xce";
    const CLOSE: &[u8] = b"\x01\0\x01\0\0\0\x10\0\x14\0\x28\x01\x94\x05no ex\0\x3c\0\x28\xce";

    #[test]
    fn methods_are_read() {
        for bytes in [START, TUNE, CLOSE] {
            assert_eq!(length(bytes), Ok(Some(bytes.len())));
        }
        assert_eq!(read(START), Ok(Method::Start { mechanisms: "PLAIN".into() }));
        assert_eq!(read(TUNE), Ok(Method::Tune { channels: 2047, frame_bytes: 131_072, heartbeat_s: 60 }));
        assert_eq!(read(CLOSE), Ok(Method::ChannelClose { code: 404, text: "no ex".into() }));
        assert_eq!(read(b"\x08\0\0\0\0\0\0\xce"), Ok(Method::Other));
    }

    #[test]
    fn what_is_cut_or_spoiled_is_an_error() {
        for good in [START, TUNE, CLOSE] {
            for end in 0..good.len() {
                let cut = [&good[..end], &[FRAME_END]].concat();
                let _ = (length(&good[..end]), read(&good[..end]), read(&cut));
                for byte in [0, 1, 0x7f, 0xff] {
                    let mut spoiled = good.to_vec();
                    spoiled[end] = byte;
                    let _ = (length(&spoiled), read(&spoiled));
                }
            }
        }
        assert_eq!(length(b"AMQP\0\0\x09\x01"), Err(BadFrame));
        assert_eq!(length(b"\x01\0\0\xff\xff\xff\xff"), Err(BadFrame));
    }

    #[test]
    fn a_long_body_takes_several_frames() {
        let body = vec![b'x'; 10_000];
        let message =
            Message { exchange: b"e", routing_key: b"k", content_type: b"t", persistent: true, body: &body };
        let bytes = message.encode(4096);
        let (mut rest, mut kinds) = (&bytes[..], Vec::new());
        while let Ok(Some(length)) = length(rest) {
            kinds.push(rest[0]);
            rest = &rest[length..];
        }
        assert_eq!(kinds, [1, 2, 3, 3, 3]);
        assert!(bytes.starts_with(b"\x01\0\x01\0\0\0\x0b\0\x3c\0\x28\0\0\x01e\x01k\0\xce\x02"));
    }
}
