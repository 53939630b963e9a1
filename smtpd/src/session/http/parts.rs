//! The parts of a submission as they come in: options are gathered, the message goes to the spool.

use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use engine::task::Slice;
use flate2::write::GzDecoder;
use net::http::multipart::{Event, Form, Malformed, Part};
use net::smtp::error::{Error, LocalLimit};
use net::smtp::server::{Submitted, Summary};

use super::options::Packed;
use crate::limits;
use crate::session::transaction::Transaction;
use crate::shard::Shard;
use crate::snapshot::Server;

/// Why a submission is not taken.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is none: the status, and what is wrong.
    Request(u16, String),
    /// Its message is refused, as SMTP would have done.
    Message(Error),
}

/// A submission that has come in whole.
#[derive(Debug)]
pub(super) struct Complete {
    pub(super) options: Packed,
    pub(super) transaction: Box<Transaction>,
    pub(super) summary: Summary,
}

/// The parts so far.
#[derive(Debug)]
pub(super) struct Parts {
    form: Form,
    sorted: Sorted,
}

#[derive(Debug)]
struct Sorted {
    shard: Rc<Shard>,
    server: Arc<Server>,
    current: Option<Current>,
    options: Option<Packed>,
    transaction: Option<Box<Transaction>>,
    message: Option<Letter>,
    /// The first; from then on nothing is kept.
    fault: Option<Fault>,
}

/// What bytes of the form belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Current {
    Options,
    Message,
}

/// The message.
#[derive(Debug)]
struct Letter {
    checked: Submitted,
    /// It comes packed.
    unpacker: Option<Unpacker>,
}

#[derive(Debug)]
struct Unpacker {
    decoder: GzDecoder<Vec<u8>>,
    /// What has come and is not unpacked: less than what was received at once.
    packed: Vec<u8>,
    left_bytes: u64,
}

impl Parts {
    /// Of a body divided by `boundary`. `transaction` takes its message, unless there is no room for one.
    pub(super) fn new(
        shard: Rc<Shard>,
        server: Arc<Server>,
        boundary: &[u8],
        transaction: Result<Box<Transaction>, Error>,
    ) -> Parts {
        let (transaction, fault) = match transaction {
            Ok(transaction) => (Some(transaction), None),
            Err(error) => (None, Some(Fault::Message(error))),
        };
        let sorted =
            Sorted { shard, server, current: None, options: None, transaction, message: None, fault };
        Parts { form: Form::new(boundary), sorted }
    }

    /// Takes bytes of the body. After it [`catch_up`](Self::catch_up) must be awaited before more is read from the client.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.sorted.fault.is_some() {
            return;
        }
        let sorted = &mut self.sorted;
        if let Err(malformed) = self.form.receive(bytes, |event| sorted.take(event)) {
            sorted.refuse(malformed.into());
        }
    }

    /// Unpacks what has come packed, and waits until the buffers have room for more.
    pub(super) async fn catch_up(&mut self) {
        let sorted = &mut self.sorted;
        if sorted.fault.is_none()
            && let Err(fault) = sorted.catch_up().await
        {
            sorted.refuse(fault);
        }
    }

    /// The body is larger than it may be.
    pub(super) fn too_large(&mut self) {
        self.sorted.refuse(Fault::Message(LocalLimit::MessageTooLarge.into()));
    }

    /// It is refused; what still comes is dropped.
    pub(super) fn is_refused(&self) -> bool {
        self.sorted.fault.is_some()
    }

    /// The body is over.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) async fn complete(self) -> Result<Complete, Fault> {
        let Sorted { options, transaction, message, fault, .. } = self.sorted;
        if let Some(fault) = fault {
            return Err(fault);
        }
        self.form.finish()?;
        let options = options.ok_or_else(|| missing("options"))?;
        let (Some(mut transaction), Some(mut letter)) = (transaction, message) else {
            return Err(missing("rfc822"));
        };
        if let Some(unpacker) = letter.unpacker.take() {
            unpacker.finish(|bytes| letter.checked.store(bytes, &mut transaction))?;
        }
        let rest = letter.checked.finish().map_err(Fault::Message)?;
        transaction.write(rest);
        transaction.ready().await.map_err(Fault::Message)?;
        Ok(Complete { options, transaction, summary: letter.checked.summary() })
    }
}

impl Sorted {
    fn take(&mut self, event: Event<'_>) {
        if self.fault.is_some() {
            return;
        }
        let taken = match event {
            Event::Part(part) => self.begin(&part),
            Event::Data(data) => self.data(data),
            Event::PartEnd => {
                self.current = None;
                Ok(())
            }
        };
        if let Err(fault) = taken {
            self.refuse(fault);
        }
    }

    fn refuse(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
        // What it has taken of the buffers is for others.
        (self.transaction, self.message, self.options) = (None, None, None);
    }

    fn begin(&mut self, part: &Part) -> Result<(), Fault> {
        let name = part.name.as_str();
        if !matches!(part.transfer_encoding.as_str(), "" | "7bit" | "8bit" | "binary") {
            let text = format!("the part {name} has a Content-Transfer-Encoding, which a form has not");
            return Err(Fault::Request(400, text));
        }
        let (kind, is_gzip) = match name {
            "options" => (Current::Options, false),
            "options.gzip" => (Current::Options, true),
            "rfc822" => (Current::Message, false),
            "rfc822.gzip" => (Current::Message, true),
            _ => {
                let known = "options, options.gzip, rfc822, rfc822.gzip";
                let text = format!("there is no part \"{}\"; known: {known}", name.escape_debug());
                return Err(Fault::Request(400, text));
            }
        };
        let is_second = match kind {
            Current::Options => self.options.is_some(),
            Current::Message => self.message.is_some(),
        };
        if is_second {
            return Err(Fault::Request(400, format!("the part {name} is one too many")));
        }
        match kind {
            Current::Options => self.options = Some(Packed { bytes: Vec::new(), is_gzip }),
            Current::Message => self.begin_message(is_gzip)?,
        }
        self.current = Some(kind);
        Ok(())
    }

    fn begin_message(&mut self, is_gzip: bool) -> Result<(), Fault> {
        if let Some(transaction) = &mut self.transaction {
            transaction.open_intake(&self.shard).map_err(Fault::Message)?;
        }
        let config = &self.server.session;
        let left_bytes = match config.size_bytes_max {
            0 => limits::SUBMISSION_UNPACKED_BYTES,
            // One more, so that what checks the size says so.
            most => most.saturating_add(1),
        };
        let unpacker = is_gzip.then(|| Unpacker::new(left_bytes));
        self.message = Some(Letter { checked: Submitted::new(config), unpacker });
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Fault> {
        match (self.current, &mut self.options, &mut self.message, &mut self.transaction) {
            (Some(Current::Options), Some(packed), ..) => {
                if packed.bytes.len() + data.len() > limits::SUBMISSION_OPTIONS_BYTES {
                    let text = format!("options: more than {} bytes", limits::SUBMISSION_OPTIONS_BYTES);
                    return Err(Fault::Request(413, text));
                }
                packed.bytes.extend_from_slice(data);
                Ok(())
            }
            (Some(Current::Message), _, Some(letter), Some(transaction)) => match &mut letter.unpacker {
                Some(unpacker) => {
                    unpacker.packed.extend_from_slice(data);
                    Ok(())
                }
                None => letter.checked.store(data, transaction),
            },
            _ => Ok(()),
        }
    }

    async fn catch_up(&mut self) -> Result<(), Fault> {
        let (Some(letter), Some(transaction)) = (&mut self.message, &mut self.transaction) else {
            return Ok(());
        };
        if let Some(unpacker) = &mut letter.unpacker {
            let packed = std::mem::take(&mut unpacker.packed);
            let mut slice = Slice::begin(limits::SUBMISSION_UNPACK_SLICE);
            for piece in packed.chunks(limits::SUBMISSION_UNPACK_STEP) {
                unpacker.step(piece, |bytes| letter.checked.store(bytes, transaction))?;
                transaction.ready().await.map_err(Fault::Message)?;
                slice.give_way_now().await;
            }
        }
        transaction.ready().await.map_err(Fault::Message)
    }
}

/// Checks bytes of a message and keeps them.
trait Store {
    fn store(&mut self, bytes: &[u8], transaction: &mut Transaction) -> Result<(), Fault>;
}

impl Store for Submitted {
    fn store(&mut self, mut bytes: &[u8], transaction: &mut Transaction) -> Result<(), Fault> {
        while let Some(good) = self.next(&mut bytes).map_err(Fault::Message)? {
            transaction.write(good);
        }
        Ok(())
    }
}

impl Unpacker {
    fn new(left_bytes: u64) -> Unpacker {
        Unpacker { decoder: GzDecoder::new(Vec::new()), packed: Vec::new(), left_bytes }
    }

    fn step(&mut self, piece: &[u8], store: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        self.decoder.write_all(piece).map_err(not_gzip)?;
        self.hand_on(store)
    }

    fn finish(mut self, store: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        self.decoder.try_finish().map_err(not_gzip)?;
        self.hand_on(store)
    }

    fn hand_on(&mut self, mut store: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let out = self.decoder.get_mut();
        let left = self.left_bytes.checked_sub(out.len() as u64);
        self.left_bytes = left.ok_or(Fault::Message(LocalLimit::MessageTooLarge.into()))?;
        let stored = store(out);
        out.clear();
        stored
    }
}

fn not_gzip(error: std::io::Error) -> Fault {
    Fault::Request(400, format!("rfc822.gzip: {error}"))
}

fn missing(part: &str) -> Fault {
    Fault::Request(400, format!("the part {part} is missing"))
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Fault {
        Fault::Request(400, malformed.to_string())
    }
}
