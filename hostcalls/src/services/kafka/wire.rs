//! What crosses the wire between a producer and a broker of Kafka: versions that are not flexible, and that brokers from 0.11 to
//! 4 speak.

use std::collections::BTreeMap;

/// Most brokers, topics or partitions of an answer.
const ITEMS_MAX: usize = 100_000;

pub(super) const PRODUCE: (i16, i16) = (0, 3);
pub(super) const METADATA: (i16, i16) = (3, 1);
pub(super) const SASL_HANDSHAKE: (i16, i16) = (17, 1);
pub(super) const SASL_AUTHENTICATE: (i16, i16) = (36, 0);

/// The bytes are not what the protocol has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadAnswer;

/// Where brokers are, and which of them leads which partition of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) brokers: BTreeMap<i32, (String, u16)>,
    /// The error of the topic, 0 for none.
    pub(super) error: i16,
    /// By number of the partition.
    pub(super) leaders: BTreeMap<i32, i32>,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) time_ms: i64,
}

/// A request with its length before it.
pub(super) fn request(api: (i16, i16), correlation: i32, client: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(api.0.to_be_bytes());
    out.extend(api.1.to_be_bytes());
    out.extend(correlation.to_be_bytes());
    string(&mut out, client.as_bytes());
    out.extend(body);
    [&(out.len() as u32).to_be_bytes()[..], &out].concat()
}

pub(super) fn metadata(topic: &str) -> Vec<u8> {
    let mut out = 1_i32.to_be_bytes().to_vec();
    string(&mut out, topic.as_bytes());
    out
}

pub(super) fn sasl_handshake(mechanism: &str) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, mechanism.as_bytes());
    out
}

pub(super) fn sasl_plain(username: &str, password: &str) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, format!("\0{username}\0{password}").as_bytes());
    out
}

/// One record for a partition; `acks` 0, 1 or -1 for all.
pub(super) fn produce(topic: &str, partition: i32, acks: i16, timeout_ms: i32, record: &Record) -> Vec<u8> {
    let mut out = (-1_i16).to_be_bytes().to_vec();
    out.extend(acks.to_be_bytes());
    out.extend(timeout_ms.to_be_bytes());
    out.extend(1_i32.to_be_bytes());
    string(&mut out, topic.as_bytes());
    out.extend(1_i32.to_be_bytes());
    out.extend(partition.to_be_bytes());
    bytes(&mut out, &batch(record));
    out
}

/// A batch of one record (version 2 of the format).
fn batch(record: &Record) -> Vec<u8> {
    let mut checked = 0_i16.to_be_bytes().to_vec();
    checked.extend(0_i32.to_be_bytes());
    checked.extend(record.time_ms.to_be_bytes());
    checked.extend(record.time_ms.to_be_bytes());
    // No producer with numbered messages.
    checked.extend((-1_i64).to_be_bytes());
    checked.extend((-1_i16).to_be_bytes());
    checked.extend((-1_i32).to_be_bytes());
    checked.extend(1_i32.to_be_bytes());
    let body = encode_record(record);
    varint(&mut checked, body.len() as i64);
    checked.extend(body);
    let mut out = 0_i64.to_be_bytes().to_vec();
    // Epoch, version and checksum come before what is checked.
    out.extend((checked.len() as i32 + 9).to_be_bytes());
    out.extend((-1_i32).to_be_bytes());
    out.push(2);
    out.extend(crc32c::crc32c(&checked).to_be_bytes());
    out.extend(checked);
    out
}

fn encode_record(record: &Record) -> Vec<u8> {
    let mut out = vec![0];
    varint(&mut out, 0);
    varint(&mut out, 0);
    for part in [&record.key, &record.value] {
        varint(&mut out, part.as_ref().map_or(-1, |part| part.len() as i64));
        out.extend(part.as_deref().unwrap_or_default());
    }
    varint(&mut out, record.headers.len() as i64);
    for part in record.headers.iter().flat_map(|(name, value)| [name, value]) {
        varint(&mut out, part.len() as i64);
        out.extend(part);
    }
    out
}

/// Zigzag, seven bits a byte.
fn varint(out: &mut Vec<u8>, number: i64) {
    let mut left = ((number << 1) ^ (number >> 63)) as u64;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    let text = &text[..text.len().min(i16::MAX as usize)];
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as i32).to_be_bytes());
    out.extend(bytes);
}

/// What is left of an answer.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The answer to a request with this number.
    pub(super) fn of(answer: &'a [u8], correlation: i32) -> Result<Reader<'a>, BadAnswer> {
        let mut reader = Reader(answer);
        if reader.i32()? == correlation { Ok(reader) } else { Err(BadAnswer) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], BadAnswer> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(BadAnswer)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, BadAnswer> {
        self.take(2).map(|bytes| i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn i32(&mut self) -> Result<i32, BadAnswer> {
        self.take(4).map(|bytes| i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// None: null.
    pub(super) fn string(&mut self) -> Result<Option<String>, BadAnswer> {
        match self.i16()? {
            -1 => Ok(None),
            length => {
                let bytes = self.take(usize::try_from(length).map_err(|_| BadAnswer)?)?;
                Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
    }

    fn count(&mut self) -> Result<usize, BadAnswer> {
        usize::try_from(self.i32()?).ok().filter(|count| *count <= ITEMS_MAX).ok_or(BadAnswer)
    }

    /// The answer to [`metadata`].
    pub(super) fn metadata(mut self) -> Result<Metadata, BadAnswer> {
        let mut metadata = Metadata::default();
        for _ in 0..self.count()? {
            let id = self.i32()?;
            let host = self.string()?.ok_or(BadAnswer)?;
            let port = u16::try_from(self.i32()?).map_err(|_| BadAnswer)?;
            self.string()?;
            metadata.brokers.insert(id, (host, port));
        }
        self.i32()?;
        for _ in 0..self.count()? {
            metadata.error = self.i16()?;
            self.string()?;
            self.take(1)?;
            for _ in 0..self.count()? {
                self.i16()?;
                let (partition, leader) = (self.i32()?, self.i32()?);
                for _list in 0..2 {
                    let count = self.count()?;
                    self.take(4 * count)?;
                }
                metadata.leaders.insert(partition, leader);
            }
        }
        Ok(metadata)
    }

    /// The error code of the answer to [`produce`], 0 for none.
    pub(super) fn produced(mut self) -> Result<i16, BadAnswer> {
        if self.count()? != 1 {
            return Err(BadAnswer);
        }
        self.string()?;
        if self.count()? != 1 {
            return Err(BadAnswer);
        }
        self.i32()?;
        self.i16()
    }
}

/// The partition of a key: CRC-32 as librdkafka takes it.
pub(super) fn partition_of(key: &[u8], count: usize) -> usize {
    let crc = key.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    !crc as usize % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA_ANSWER: &[u8] = b"\0\0\0\x07\0\0\0\x01\0\0\0\x05\0\x01h\0\0\x23\x84\xff\xff\0\0\0\x05\0\0\0\x01\0\0\0\x01t\0\0\0\0\x01\0\0\0\0\0\x02\0\0\0\x05\0\0\0\x01\0\0\0\x05\0\0\0\x01\0\0\0\x05";
    const PRODUCED: &[u8] =
        b"\0\0\0\x07\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x02\0\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";

    #[test]
    fn answers_are_read() {
        let metadata = Reader::of(METADATA_ANSWER, 7).unwrap().metadata().unwrap();
        assert_eq!(metadata.brokers, BTreeMap::from([(5, ("h".to_owned(), 9092))]));
        assert_eq!((metadata.error, metadata.leaders), (0, BTreeMap::from([(2, 5)])));
        assert_eq!(Reader::of(PRODUCED, 7).unwrap().produced(), Ok(6));
        assert!(Reader::of(PRODUCED, 8).is_err());
    }

    #[test]
    fn what_is_cut_or_spoiled_is_no_panic() {
        for good in [METADATA_ANSWER, PRODUCED] {
            for end in 4..good.len() {
                for byte in [0, 1, 0x7f, 0xff] {
                    let mut spoiled = good.to_vec();
                    spoiled[end] = byte;
                    let _ = Reader::of(&spoiled, 7).unwrap().metadata();
                    let _ = Reader::of(&spoiled, 7).unwrap().produced();
                }
                let _ = Reader::of(&good[..end], 7).unwrap().metadata();
                let _ = Reader::of(&good[..end], 7).unwrap().produced();
            }
        }
    }

    #[test]
    fn numbers_and_keys_are_as_others_have_them() {
        let encoded = |number| {
            let mut out = Vec::new();
            varint(&mut out, number);
            out
        };
        assert_eq!(
            (encoded(0), encoded(-1), encoded(1), encoded(-64)),
            (vec![0], vec![1], vec![2], vec![0x7f])
        );
        assert_eq!((encoded(64), encoded(300)), (vec![0x80, 1], vec![0xd8, 4]));
        assert_eq!(partition_of(b"123456789", usize::MAX), 0xcbf4_3926);
    }

    #[test]
    fn a_batch_says_how_long_it_is_and_has_its_checksum() {
        let record = Record {
            key: Some(b"k".to_vec()),
            value: None,
            headers: vec![(b"a".to_vec(), b"b".to_vec())],
            time_ms: 1,
        };
        let bytes = batch(&record);
        let length = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
        assert_eq!((length, bytes[16]), (bytes.len() - 12, 2));
        assert_eq!(bytes[17..21], crc32c::crc32c(&bytes[21..]).to_be_bytes());
        assert!(bytes.ends_with(b"\x16\0\0\0\x02k\x01\x02\x02a\x02b"));
    }
}
