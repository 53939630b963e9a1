//! Carries out one operation of a simulated thread, as far as it gets.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::disk::{Disk, Handle, Open};
use super::image::PAGE_BYTES;
use super::network::Socket;
use super::world::{Target, ThreadId, World};
use crate::buf::RecvBuf;
use crate::disk::{Durability, Entry, Space};
use crate::op::{Accepted, Descriptor, Item, Op, OpId, PathOp, Reply, Target as Peer};
use crate::shard::Shard;

/// Bytes and connections that one multishot operation may have delivered ahead of its taker.
const AHEAD_BYTES: usize = 32 * 1024;
const AHEAD_ITEMS: usize = 16;
/// Most bytes of one receive.
const RECV_BYTES: usize = 16 * 1024;

/// What became of an operation.
enum Progress {
    /// Waits for its socket (or for its taker); there may be an item for it.
    Waits(Option<Item>),
    /// Has more to do at once.
    Again(Option<Item>),
    Done(io::Result<Reply>),
}

/// The operation `id` of `shard` may get on. Nothing is borrowed while results are delivered.
pub(super) fn execute(world: &Rc<RefCell<World>>, thread: ThreadId, shard: &Shard, id: OpId) {
    let offloaded = match shard.ops.borrow_mut().op(id) {
        Some(Op::Offload(call)) => call.take(),
        _ => None,
    };
    if let Some(call) = offloaded {
        finish(world, thread, shard, id, Ok(Reply::Value(call())));
        return;
    }
    let progress = {
        let mut world = world.borrow_mut();
        let progress = Attempt { world: &mut world, thread, id }.run(shard);
        world.pump();
        progress
    };
    match progress {
        Progress::Waits(item) => deliver(shard, id, item),
        Progress::Again(item) => {
            deliver(shard, id, item);
            world.borrow_mut().schedule_op(thread, id, 1, 10);
        }
        Progress::Done(result) => finish(world, thread, shard, id, result),
    }
}

/// Somebody asked to end the operation. What waits, ends; what is under way on the disk mostly comes through.
pub(super) fn cancel(world: &Rc<RefCell<World>>, thread: ThreadId, shard: &Shard, id: OpId) {
    let on_disk = match shard.ops.borrow_mut().op(id) {
        Some(Op::Read { .. } | Op::Write { .. } | Op::Sync { .. } | Op::Path(_) | Op::Offload(_)) => true,
        Some(_) => false,
        None => return,
    };
    {
        let mut world = world.borrow_mut();
        if on_disk && world.random.below(4) != 0 {
            return;
        }
        let running = world.running.get_mut(&thread.process).expect("cancels of the dead are ignored");
        let connecting = running.connecting.remove(&(thread.index, id));
        if running.signal_taker == Some((thread.index, id)) {
            running.signal_taker = None;
        }
        if let Some(socket) = connecting {
            world.network.close(socket);
            world.pump();
        }
    }
    finish(world, thread, shard, id, Err(errno(libc::ECANCELED)));
}

/// An operation that was under way when its process ended: it may have been done, partly, or not.
pub(super) fn abandon(world: &mut World, thread: ThreadId, shard: &Shard, id: OpId) {
    let mut ops = shard.ops.borrow_mut();
    match ops.op(id) {
        Some(Op::Write { file, offset, buf, .. }) => {
            if let Some(Target::File(handle)) = world.target(thread.process, file.raw()) {
                world.disk(thread.process).write_abandoned(handle, *offset, buf);
            }
        }
        Some(Op::Sync { file, .. }) if world.random.flip() => {
            if let Some(Target::File(handle)) = world.target(thread.process, file.raw()) {
                // Whether it worked is nobody's business any more.
                let _ = world.disk(thread.process).sync(handle);
            }
        }
        Some(Op::Path(_)) if world.random.flip() => {
            drop(ops);
            // What it opens is closed with the process: no shard runs now, so dropping the answer does nothing.
            drop(Attempt { world, thread, id }.run(shard));
        }
        _ => {}
    }
}

fn deliver(shard: &Shard, id: OpId, item: Option<Item>) {
    if let Some(item) = item {
        shard.enter(|| shard.item(id, item));
    }
}

fn finish(world: &Rc<RefCell<World>>, thread: ThreadId, shard: &Shard, id: OpId, result: io::Result<Reply>) {
    if let Some(running) = world.borrow_mut().running.get_mut(&thread.process) {
        running.in_flight.remove(&(thread.index, id));
    }
    shard.enter(|| shard.complete(id, result));
}

struct Attempt<'a> {
    world: &'a mut World,
    thread: ThreadId,
    id: OpId,
}

impl Attempt<'_> {
    fn run(&mut self, shard: &Shard) -> Progress {
        let mut ops = shard.ops.borrow_mut();
        let (items, bytes) = ops.waiting(self.id);
        let ahead = items >= AHEAD_ITEMS || bytes >= AHEAD_BYTES;
        let sent = ops.scratch(self.id).map_or(0, |sent| *sent as usize);
        let Some(op) = ops.op(self.id) else { return Progress::Waits(None) };
        let mut now_sent = sent;
        let progress = match op {
            Op::Accept { .. } | Op::Recv { .. } | Op::RecvDatagram { .. } | Op::Signals if ahead => {
                Progress::Waits(None)
            }
            Op::Accept { listener } => self.accept(listener),
            Op::Recv { socket } => self.recv(socket),
            Op::RecvDatagram { socket } => self.recv_datagram(socket),
            Op::Signals => self.signal(),
            Op::Connect(connect) => {
                match &connect.to {
                    // Ports are the world's choice: nothing of ours needs a certain one.
                    Peer::Tcp { remote, from } => self.connect(*remote, from.map(|from| from.addr.ip())),
                    // Nothing can be bound here.
                    Peer::Bound { .. } => Progress::Done(Err(errno(libc::EBADF))),
                    // Nobody listens in the file system of a simulated world.
                    Peer::Unix(_) => Progress::Done(Err(errno(libc::ENOENT))),
                }
            }
            Op::Send { socket, data } => self.send(socket, std::slice::from_ref(data), &mut now_sent),
            Op::SendList { socket, list } => self.send(socket, &list.list, &mut now_sent),
            Op::SendDatagram { socket, data } => Progress::Done(self.send_datagram(socket, data)),
            Op::Read { file, offset, len, buf } => {
                let read = self.on_file(file, |disk, handle| disk.read(handle, *offset, *len));
                Progress::Done(read.map(|bytes| {
                    buf.clear();
                    buf.extend_from_slice(&bytes);
                    Reply::Unit
                }))
            }
            Op::Write { file, offset, buf, durability, .. } => {
                let durable = *durability == Durability::Durable;
                let len = buf.len();
                let written = self.on_file(file, |disk, handle| disk.write(handle, *offset, buf, durable));
                Progress::Done(match written {
                    Ok(written) if written < len => Err(io::ErrorKind::WriteZero.into()),
                    Ok(_) => Ok(Reply::Unit),
                    Err(error) => Err(error),
                })
            }
            Op::Sync { file, .. } => {
                Progress::Done(self.on_file(file, |disk, handle| disk.sync(handle)).map(|()| Reply::Unit))
            }
            Op::Path(op) => Progress::Done(self.path(op)),
            Op::Offload(_) => Progress::Waits(None),
        };
        if now_sent != sent
            && let Some(scratch) = ops.scratch(self.id)
        {
            *scratch = now_sent as u32;
        }
        progress
    }

    // Sockets.

    fn accept(&mut self, listener: &Descriptor) -> Progress {
        let socket = match self.socket(listener) {
            Ok(socket) => socket,
            Err(error) => return Progress::Done(Err(error)),
        };
        let accepted = self.world.network.accept(socket).and_then(|accepted| match accepted {
            Some(stream) => Ok(Some((stream, self.world.network.peer_addr(stream)?))),
            None => Ok(None),
        });
        match accepted {
            Ok(Some((stream, peer))) => {
                Progress::Again(Some(Item::Conn(Accepted { socket: self.open_socket(stream), peer })))
            }
            Ok(None) => self.wait(socket),
            Err(error) => Progress::Done(Err(error)),
        }
    }

    fn recv(&mut self, socket: &Descriptor) -> Progress {
        let received =
            self.socket(socket).and_then(|socket| Ok((socket, self.world.network.recv(socket, RECV_BYTES)?)));
        match received {
            Ok((_, Some(bytes))) if bytes.is_empty() => Progress::Done(Ok(Reply::Unit)),
            Ok((_, Some(bytes))) => {
                self.world.note(bytes.len() as u64);
                Progress::Again(Some(Item::Bytes(RecvBuf::from_vec(bytes))))
            }
            Ok((socket, None)) => self.wait(socket),
            Err(error) => Progress::Done(Err(error)),
        }
    }

    fn recv_datagram(&mut self, socket: &Descriptor) -> Progress {
        let received =
            self.socket(socket).and_then(|socket| Ok((socket, self.world.network.recv_datagram(socket)?)));
        match received {
            Ok((_, Some(bytes))) => Progress::Again(Some(Item::Bytes(RecvBuf::from_vec(bytes)))),
            Ok((socket, None)) => self.wait(socket),
            Err(error) => Progress::Done(Err(error)),
        }
    }

    fn signal(&mut self) -> Progress {
        let taker = (self.thread.index, self.id);
        let Some(running) = self.world.running.get_mut(&self.thread.process) else {
            return Progress::Waits(None);
        };
        running.signal_taker = Some(taker);
        match running.signals.is_empty() {
            true => Progress::Waits(None),
            false => Progress::Again(Some(Item::Signal(running.signals.remove(0)))),
        }
    }

    fn connect(&mut self, remote: std::net::SocketAddr, local: Option<std::net::IpAddr>) -> Progress {
        let process = self.thread.process;
        let key = (self.thread.index, self.id);
        let socket = match self.world.running[&process].connecting.get(&key) {
            Some(&socket) => socket,
            None => {
                let host = self.world.host_addr(process);
                match self.world.network.connect(process, host, remote, local) {
                    Ok(socket) => socket,
                    Err(error) => return Progress::Done(Err(error)),
                }
            }
        };
        let connected = self.world.network.connected(socket);
        let connecting = &mut self.world.running.get_mut(&process).expect("it runs this").connecting;
        if let Ok(false) = connected {
            connecting.insert(key, socket);
            return self.wait(socket);
        }
        connecting.remove(&key);
        match connected {
            Ok(_) => {
                Progress::Done(Ok(Reply::Conn(Accepted { socket: self.open_socket(socket), peer: remote })))
            }
            Err(error) => {
                self.world.network.close(socket);
                Progress::Done(Err(error))
            }
        }
    }

    /// Sends on from where it stands.
    fn send(&mut self, socket: &Descriptor, list: &[bytes::Bytes], sent: &mut usize) -> Progress {
        let socket = match self.socket(socket) {
            Ok(socket) => socket,
            Err(error) => return Progress::Done(Err(error)),
        };
        let mut skip = *sent;
        for part in list {
            if skip >= part.len() {
                skip -= part.len();
                continue;
            }
            match self.world.network.send(socket, &part[skip..]) {
                Ok(Some(taken)) => *sent += taken,
                Ok(None) => return self.wait(socket),
                Err(error) => return Progress::Done(Err(error)),
            }
            return Progress::Again(None);
        }
        self.world.note(*sent as u64);
        Progress::Done(Ok(Reply::Unit))
    }

    fn send_datagram(&mut self, socket: &Descriptor, data: &[u8]) -> io::Result<Reply> {
        let socket = self.socket(socket)?;
        self.world.network.send_datagram(socket, data)?;
        Ok(Reply::Unit)
    }

    fn wait(&mut self, socket: Socket) -> Progress {
        self.world.wait_for(self.thread, self.id, socket);
        Progress::Waits(None)
    }

    fn open_socket(&mut self, socket: Socket) -> Rc<Descriptor> {
        Rc::new(Descriptor::simulated(self.world.open(self.thread.process, Target::Socket(socket))))
    }

    fn socket(&self, descriptor: &Descriptor) -> io::Result<Socket> {
        match self.world.target(self.thread.process, descriptor.raw()) {
            Some(Target::Socket(socket)) => Ok(socket),
            _ => Err(errno(libc::ENOTSOCK)),
        }
    }

    // Files.

    fn path(&mut self, op: &PathOp) -> io::Result<Reply> {
        match op {
            PathOp::OpenDir { base, path } => self.open_dir(base.as_deref(), path),
            PathOp::CreateDir { path } => self.create_dir(path),
            PathOp::List { dir } => self.on_file(dir, |disk, dir| disk.list(dir)).map(|listed| {
                let entries = listed.into_iter();
                Reply::Entries(
                    entries.map(|it| Entry { name: it.name, len_bytes: it.len, is_dir: it.is_dir }).collect(),
                )
            }),
            PathOp::Open { dir, name, options } => {
                let options = Open {
                    write: options.write,
                    create: options.create,
                    exclusive: options.exclusive,
                    direct: options.direct,
                };
                self.open_file(dir, name, options)
            }
            PathOp::Remove { dir, name } => self.on_file(dir, |disk, dir| disk.remove(dir, name)).map(unit),
            PathOp::Rename { dir, from, to } => {
                self.on_file(dir, |disk, dir| disk.rename(dir, from, to)).map(unit)
            }
            PathOp::Space { dir } => self.on_file(dir, |disk, _| {
                Ok(Reply::Space(Space { free_bytes: disk.free_bytes(), free_inodes: 1 << 20 }))
            }),
            PathOp::Lock { dir, name } => self.lock(dir, name),
            PathOp::Len { file } => self.on_file(file, |disk, file| disk.len(file)).map(Reply::Len),
            PathOp::SetLen { file, len_bytes } => {
                self.on_file(file, |disk, file| disk.set_len(file, *len_bytes)).map(unit)
            }
        }
    }

    fn open_dir(&mut self, base: Option<&Descriptor>, path: &Path) -> io::Result<Reply> {
        let process = self.thread.process;
        let path = text(path)?;
        let handle = match base {
            Some(base) => self.on_file(base, |disk, base| disk.open_dir_in(process, base, path))?,
            None => self.world.disk(process).open_dir(process, path)?,
        };
        Ok(Reply::Dir(self.open_handle(handle)))
    }

    fn create_dir(&mut self, path: &Path) -> io::Result<Reply> {
        let process = self.thread.process;
        let disk = self.world.disk(process);
        let mut above = String::from("/");
        for part in text(path)?.split('/').filter(|part| !part.is_empty() && *part != ".") {
            let below = format!("{above}{part}/");
            match disk.make_dir(&below) {
                Err(error) if error.raw_os_error() != Some(libc::EEXIST) => return Err(error),
                _ => {}
            }
            let parent = disk.open_dir(process, &above)?;
            let synced = disk.sync(parent);
            disk.close(parent);
            synced?;
            above = below;
        }
        let handle = disk.open_dir(process, &above)?;
        Ok(Reply::Dir(self.open_handle(handle)))
    }

    fn open_file(&mut self, dir: &Descriptor, name: &str, options: Open) -> io::Result<Reply> {
        let process = self.thread.process;
        let mut options = options;
        let file = self.on_file(dir, |disk, dir| {
            options.direct &= disk.allows_direct();
            disk.open_file(process, dir, name, options)
        })?;
        let alignment = if options.direct { PAGE_BYTES as u32 } else { 1 };
        Ok(Reply::File { file: self.open_handle(file), direct: options.direct, alignment })
    }

    /// Takes the lock and writes the process's number into the file, if there is room; or reads the holder's.
    fn lock(&mut self, dir: &Descriptor, name: &str) -> io::Result<Reply> {
        let process = self.thread.process;
        let options = Open { write: true, create: true, exclusive: false, direct: false };
        let file = self.on_file(dir, |disk, dir| disk.open_file(process, dir, name, options))?;
        let disk = self.world.disk(process);
        if !disk.lock(file)? {
            let holder = disk.read(file, 0, 32).ok();
            disk.close(file);
            let holder = holder.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
            return Ok(Reply::Held(holder));
        }
        // As the real driver: a full disk does not take the number, but the lock is ours.
        if disk.set_len(file, 0).is_ok() {
            let _ = disk.write(file, 0, format!("{process}\n").as_bytes(), false);
        }
        Ok(Reply::File { file: self.open_handle(file), direct: false, alignment: 1 })
    }

    fn on_file<T>(
        &mut self,
        descriptor: &Descriptor,
        f: impl FnOnce(&mut Disk, Handle) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.world.target(self.thread.process, descriptor.raw()) {
            Some(Target::File(handle)) => f(self.world.disk(self.thread.process), handle),
            _ => Err(errno(libc::EBADF)),
        }
    }

    fn open_handle(&mut self, handle: Handle) -> Descriptor {
        Descriptor::simulated(self.world.open(self.thread.process, Target::File(handle)))
    }
}

fn unit((): ()) -> Reply {
    Reply::Unit
}

fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| errno(libc::EINVAL))
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}
