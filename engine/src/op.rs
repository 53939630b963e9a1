//! The seam between what a shard does and how it is done: an operation is submitted with all that it needs, and
//! completes once (or, for a multishot one, item by item until its end).
//!
//! An [`Op`] owns its descriptor guard and its buffers. It sits in the [`table::OpTable`] from submission until its
//! terminal completion, whatever becomes of the future that asked for it: dropping that future marks the slot
//! *orphaned* and asks the driver to cancel; only a completion frees. A completion that carries an old generation
//! is ignored.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use bytes::Bytes;

use crate::buf::{AlignedBuf, RecvBuf};
use crate::disk::{Durability, Entry, OpenOptions, Space};
use crate::net::Bind;
use crate::shard;

pub(crate) mod future;
pub(crate) mod table;

/// Names one operation of one shard: slot of the table, and which use of that slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OpId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// A handle of the driver: a file descriptor of the kernel, or a number of the simulator. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Descriptor {
    raw: i32,
    simulated: bool,
}

impl Descriptor {
    /// Takes ownership of a kernel file descriptor.
    pub(crate) fn os(raw: i32) -> Self {
        Descriptor { raw, simulated: false }
    }
    /// Takes ownership of a handle of the simulator.
    pub(crate) fn simulated(raw: i32) -> Self {
        Descriptor { raw, simulated: true }
    }
    pub(crate) fn raw(&self) -> i32 {
        self.raw
    }
    /// Another descriptor of the same thing. An error in the simulator.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        if self.simulated {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // SAFETY: open, as long as this lives.
        unsafe { BorrowedFd::borrow_raw(self.raw) }.try_clone_to_owned()
    }
    /// Gives up ownership, to pass it to another thread.
    pub(crate) fn detach(self) -> Detached {
        let detached = Detached { raw: self.raw, simulated: self.simulated };
        std::mem::forget(self);
        detached
    }
}

/// A [`Descriptor`] on its way from one thread to another; closed when dropped.
#[derive(Debug)]
pub(crate) struct Detached {
    raw: i32,
    simulated: bool,
}

impl Detached {
    /// Takes ownership on this thread.
    pub(crate) fn attach(self) -> Descriptor {
        let descriptor = Descriptor { raw: self.raw, simulated: self.simulated };
        std::mem::forget(self);
        descriptor
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        shard::close(self.raw, self.simulated);
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        shard::close(self.raw, self.simulated);
    }
}

/// A connection that was accepted or connected.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: Rc<Descriptor>,
    pub(crate) peer: SocketAddr,
}

/// An operation, with the resources that the driver needs to carry it out.
pub(crate) enum Op {
    // ---- multishot: `Item`s until a terminal completion.
    /// Connections of a listener, each [`Item::Conn`].
    Accept { listener: Rc<Descriptor> },
    /// Bytes of a stream, each [`Item::Bytes`]; the end of the stream is an `Ok` terminal completion.
    Recv { socket: Rc<Descriptor> },
    /// Datagrams, each [`Item::Bytes`]. An error (ICMP unreachable) is a terminal completion; one may submit anew.
    RecvDatagram { socket: Rc<Descriptor> },
    /// Signals of the process, each [`Item::Signal`].
    Signals,
    // ---- one shot: a terminal completion with a `Reply`.
    /// Gives [`Reply::Conn`].
    Connect(Box<ConnectOp>),
    /// Sends all of it (short sends are continued by the driver). [`Reply::Unit`].
    Send { socket: Rc<Descriptor>, data: Bytes },
    /// Sends all of the list, in order. [`Reply::Unit`].
    SendList { socket: Rc<Descriptor>, list: Box<SendList> },
    /// Sends one datagram. [`Reply::Unit`].
    SendDatagram { socket: Rc<Descriptor>, data: Bytes },
    /// Reads into `buf`, which has room for `len` bytes, and sets its length. [`Reply::Unit`].
    Read { file: Rc<Descriptor>, offset: u64, len: usize, buf: AlignedBuf },
    /// Writes all of `buf`; a short write is an error (WriteZero). `direct` says that the file bypasses the page cache.
    /// [`Reply::Unit`].
    Write { file: Rc<Descriptor>, offset: u64, buf: AlignedBuf, durability: Durability, direct: bool },
    /// Data and length of a file, or the entries of a `directory`, to stable storage. [`Reply::Unit`].
    Sync { file: Rc<Descriptor>, directory: bool },
    /// Everything with a path or metadata: rare, may block.
    Path(Box<PathOp>),
    /// A call for the offload pool. [`Reply::Value`].
    Offload(Option<OffloadCall>),
}

/// What [`Op::Offload`] runs.
pub(crate) type OffloadCall = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;

/// Where [`Op::Connect`] goes.
pub(crate) struct ConnectOp {
    pub(crate) to: Target,
    /// The kernel drivers': the socket, and the address in the kernel's form.
    pub(crate) connecting: Option<crate::os::socket::Connecting>,
}

/// The other end of an [`Op::Connect`].
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Tcp {
        remote: SocketAddr,
        from: Option<Bind>,
    },
    /// From a TCP socket that is bound already.
    Bound {
        remote: SocketAddr,
        socket: Rc<Descriptor>,
    },
    /// A stream socket in the file system.
    Unix(PathBuf),
}

impl Target {
    /// What a connection says about its peer: a path is no address, so it is unspecified there.
    pub(crate) fn peer(&self) -> SocketAddr {
        match self {
            Target::Tcp { remote, .. } | Target::Bound { remote, .. } => *remote,
            Target::Unix(_) => SocketAddr::from(([0; 4], 0)),
        }
    }
}

/// The list of [`Op::SendList`], with room for what the kernel wants to see of it.
pub(crate) struct SendList {
    pub(crate) list: Vec<Bytes>,
    /// The kernel drivers': where it stands, and the gather list it gave to the kernel.
    pub(crate) gather: crate::os::gather::Gather,
}

/// An operation on names and metadata.
#[derive(Debug)]
pub(crate) enum PathOp {
    /// Gives [`Reply::Dir`]. `path` is relative to `base`, or to the working directory.
    OpenDir { base: Option<Rc<Descriptor>>, path: PathBuf },
    /// Creates it and its parents (0o750), syncs the parents, opens it. [`Reply::Dir`].
    CreateDir { path: PathBuf },
    /// [`Reply::Entries`].
    List { dir: Rc<Descriptor> },
    /// [`Reply::File`].
    Open { dir: Rc<Descriptor>, name: String, options: OpenOptions },
    /// [`Reply::Unit`].
    Remove { dir: Rc<Descriptor>, name: String },
    /// [`Reply::Unit`].
    Rename { dir: Rc<Descriptor>, from: String, to: String },
    /// [`Reply::Space`].
    Space { dir: Rc<Descriptor> },
    /// [`Reply::File`] when taken (the lock lives as long as the descriptor), [`Reply::Held`] when not.
    Lock { dir: Rc<Descriptor>, name: String },
    /// [`Reply::Len`].
    Len { file: Rc<Descriptor> },
    /// [`Reply::Unit`].
    SetLen { file: Rc<Descriptor>, len_bytes: u64 },
}

/// What a successful operation gives.
#[derive(Debug)]
pub(crate) enum Reply {
    Unit,
    Conn(Accepted),
    Dir(Descriptor),
    File { file: Descriptor, direct: bool, alignment: u32 },
    Entries(Vec<Entry>),
    Space(Space),
    Held(Option<u32>),
    Len(u64),
    Value(Box<dyn Any + Send>),
}

/// One result of a multishot operation.
#[derive(Debug)]
pub(crate) enum Item {
    Conn(Accepted),
    Bytes(RecvBuf),
    Signal(i32),
}

/// The terminal completion: the operation comes back with the buffers it owned.
pub(crate) type Completed = (Op, io::Result<Reply>);
