//! Socket calls that never wait.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use crate::net::Bind;
use crate::op::{Descriptor, Target};

/// The result of a system call that gives -1 and `errno`.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A socket address in the kernel's form.
pub(crate) struct RawAddr {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl RawAddr {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        // SAFETY: all zeros is a valid sockaddr_storage.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let len = match addr {
            SocketAddr::V4(addr) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: addr.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(addr.ip().octets()) },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_storage is large and aligned enough for every address family.
                unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(addr) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: addr.port().to_be(),
                    sin6_flowinfo: addr.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
                    sin6_scope_id: addr.scope_id(),
                };
                // SAFETY: as above.
                unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
                size_of::<libc::sockaddr_in6>()
            }
        };
        RawAddr { storage, len: len as libc::socklen_t }
    }

    /// The address of a socket in the file system.
    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        // SAFETY: all zeros is a valid sockaddr_un.
        let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        let path = path.as_os_str().as_bytes();
        // One byte is for the NUL at the end.
        if path.is_empty() || path.len() >= raw.sun_path.len() || path.contains(&0) {
            let message =
                format!("the path of a socket has 1 to {} bytes and no NUL", raw.sun_path.len() - 1);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in raw.sun_path.iter_mut().zip(path) {
            *to = *from as libc::c_char;
        }
        // SAFETY: all zeros is a valid sockaddr_storage.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        // SAFETY: sockaddr_storage is large and aligned enough for every address family.
        unsafe { (&raw mut storage).cast::<libc::sockaddr_un>().write(raw) };
        Ok(RawAddr { storage, len: size_of::<libc::sockaddr_un>() as libc::socklen_t })
    }

    /// That of a target.
    pub(crate) fn of(target: &Target) -> io::Result<Self> {
        match target {
            Target::Tcp { remote, .. } | Target::Bound { remote, .. } => Ok(RawAddr::new(*remote)),
            Target::Unix(path) => RawAddr::unix(path),
        }
    }

    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(crate) fn len(&self) -> libc::socklen_t {
        self.len
    }

    /// Asks the kernel for an address: `getsockname` or `getpeername`.
    fn ask(
        fd: libc::c_int,
        call: unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int,
    ) -> io::Result<SocketAddr> {
        // SAFETY: all zeros is a valid sockaddr_storage.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        // SAFETY: both pointers are valid for the call, and `len` is the size of the storage.
        check(unsafe { call(fd, (&raw mut storage).cast(), &raw mut len) })?;
        match libc::c_int::from(storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that it is one.
                let raw = unsafe { (&raw const storage).cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
                Ok(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the family says that it is one.
                let raw = unsafe { (&raw const storage).cast::<libc::sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                let port = u16::from_be(raw.sin6_port);
                Ok(SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id).into())
            }
            // A path is no address.
            libc::AF_UNIX => Ok(SocketAddr::from(([0; 4], 0))),
            family => Err(io::Error::other(format!("a socket of address family {family}"))),
        }
    }
}

fn set(fd: &Descriptor, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is a c_int, and `len` says so.
    check(unsafe { libc::setsockopt(fd.raw(), level, name, (&raw const value).cast(), len) }).map(drop)
}

/// Blocking mode: io_uring waits itself, and gives EAGAIN for non-blocking sockets.
fn socket(addr: SocketAddr, kind: libc::c_int) -> io::Result<Descriptor> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers.
    check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) }).map(Descriptor::os)
}

pub(super) fn unix_socket(kind: libc::c_int) -> io::Result<Descriptor> {
    // SAFETY: no pointers.
    check(unsafe { libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) }).map(Descriptor::os)
}

fn bind(fd: &Descriptor, addr: SocketAddr) -> io::Result<()> {
    let raw = RawAddr::new(addr);
    // SAFETY: address and length belong together.
    check(unsafe { libc::bind(fd.raw(), raw.as_ptr(), raw.len()) }).map(drop)
}

/// A TCP socket, bound to `addr`. An IPv6 wildcard does not take IPv4: each family has listeners of its own.
fn bound(addr: SocketAddr, reuse_port: bool) -> io::Result<Descriptor> {
    let fd = socket(addr, libc::SOCK_STREAM)?;
    set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    if reuse_port {
        set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    if addr.is_ipv6() {
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    bind(&fd, addr)?;
    Ok(fd)
}

pub(crate) fn listen(addr: SocketAddr, backlog: u32) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
    start_listening(reserve(addr)?, backlog)
}

/// A socket that has the address for itself and those of the same user that ask for it in the same way, and does not
/// listen yet: connections are refused.
pub(crate) fn reserve(addr: SocketAddr) -> io::Result<Descriptor> {
    bound(addr, true)
}

/// Listens on a socket that is bound, or that listens already.
pub(crate) fn start_listening(fd: Descriptor, backlog: u32) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
    // Accepted sockets inherit it.
    set(&fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    let backlog = if backlog == 0 { libc::c_int::MAX } else { i32::try_from(backlog).unwrap_or(i32::MAX) };
    // SAFETY: no pointers.
    check(unsafe { libc::listen(fd.raw(), backlog) })?;
    let addr = local_addr(&fd)?;
    Ok((Rc::new(fd), addr))
}

pub(crate) fn probe_bind(addr: SocketAddr) -> io::Result<()> {
    let fd = bound(addr, false)?;
    // A listener elsewhere shows only when this one listens, too.
    // SAFETY: no pointers.
    let listening = check(unsafe { libc::listen(fd.raw(), 1) }).map(drop);
    // Closed at once, not at the end of the turn as descriptors are: the listeners that follow want the address.
    let raw = fd.raw();
    std::mem::forget(fd);
    // SAFETY: the descriptor was ours alone, and its owner is forgotten.
    unsafe { libc::close(raw) };
    listening
}

pub(crate) fn udp(remote: SocketAddr) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
    let fd = socket(remote, libc::SOCK_DGRAM)?;
    set_peer(&fd, remote)?;
    let addr = local_addr(&fd)?;
    Ok((Rc::new(fd), addr))
}

/// A socket with a local address and no peer.
pub(crate) fn bound_from(from: Bind, datagrams: bool) -> io::Result<Rc<Descriptor>> {
    let fd = if datagrams { socket(from.addr, libc::SOCK_DGRAM) } else { stream_socket(from.addr) }?;
    // Datagrams may come before anything is connected: to a port that is known.
    bind_from(&fd, from, !datagrams)?;
    Ok(Rc::new(fd))
}

pub(crate) fn set_peer(fd: &Descriptor, remote: SocketAddr) -> io::Result<()> {
    connect_datagrams(fd, &RawAddr::new(remote))
}

pub(crate) fn unix_datagram(path: &Path) -> io::Result<Rc<Descriptor>> {
    let fd = unix_socket(libc::SOCK_DGRAM)?;
    name_by_kernel(&fd)?;
    connect_datagrams(&fd, &RawAddr::unix(path)?)?;
    Ok(Rc::new(fd))
}

/// Gives a Unix socket a name of the kernel's choice, so that its peer can answer: unix(7), autobind.
fn name_by_kernel(fd: &Descriptor) -> io::Result<()> {
    let family = libc::AF_UNIX as libc::sa_family_t;
    let len = size_of::<libc::sa_family_t>() as libc::socklen_t;
    // SAFETY: an address that is nothing but its family, as long as it says.
    check(unsafe { libc::bind(fd.raw(), (&raw const family).cast(), len) }).map(drop)
}

/// Connecting a datagram socket sends nothing; the kernel picks a random free port for one that is not bound.
fn connect_datagrams(fd: &Descriptor, raw: &RawAddr) -> io::Result<()> {
    // SAFETY: address and length belong together.
    check(unsafe { libc::connect(fd.raw(), raw.as_ptr(), raw.len()) }).map(drop)
}

/// A connect under way.
pub(crate) struct Connecting {
    pub(crate) socket: Rc<Descriptor>,
    pub(crate) addr: RawAddr,
}

impl Connecting {
    /// A socket ready to connect.
    pub(crate) fn new(to: &Target) -> io::Result<Self> {
        let socket = match to {
            Target::Bound { socket, .. } => Rc::clone(socket),
            Target::Unix(_) => Rc::new(unix_socket(libc::SOCK_STREAM)?),
            Target::Tcp { remote, from } => Rc::new(connecting(*remote, *from)?),
        };
        Ok(Connecting { socket, addr: RawAddr::of(to)? })
    }
}

fn connecting(remote: SocketAddr, from: Option<Bind>) -> io::Result<Descriptor> {
    let fd = stream_socket(remote)?;
    if let Some(from) = from {
        let (local, remote) = (from.addr.ip(), remote.ip());
        if local.is_ipv4() != remote.is_ipv4() {
            let message =
                format!("local address {local} and remote address {remote} are of different families");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        bind_from(&fd, from, true)?;
    }
    Ok(fd)
}

/// A TCP socket of the family of `addr`.
fn stream_socket(addr: SocketAddr) -> io::Result<Descriptor> {
    let fd = socket(addr, libc::SOCK_STREAM)?;
    set(&fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    Ok(fd)
}

/// Binds to the address that connections shall come from. `late`: the kernel chooses a port when it knows the peer.
fn bind_from(fd: &Descriptor, from: Bind, late: bool) -> io::Result<()> {
    if from.nonlocal {
        match from.addr.is_ipv4() {
            true => set(fd, libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1)?,
            false => set(fd, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1)?,
        }
    }
    if late && from.addr.port() == 0 {
        set(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    }
    bind(fd, from.addr)
}

pub(crate) fn shutdown(socket: &Descriptor) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::shutdown(socket.raw(), libc::SHUT_WR) }).map(drop)
}

pub(crate) fn local_addr(socket: &Descriptor) -> io::Result<SocketAddr> {
    local_addr_of(socket.raw())
}

pub(crate) fn local_addr_of(raw: libc::c_int) -> io::Result<SocketAddr> {
    RawAddr::ask(raw, libc::getsockname)
}

/// A socket option that is a number.
pub(crate) fn option(raw: libc::c_int, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: room for a c_int, and `len` says so.
    check(unsafe { libc::getsockopt(raw, level, name, (&raw mut value).cast(), &raw mut len) })?;
    Ok(value)
}

pub(crate) fn peer_addr(socket: &Descriptor) -> io::Result<SocketAddr> {
    RawAddr::ask(socket.raw(), libc::getpeername)
}

// ---- what the epoll driver calls; none of these waits

/// Calls on this descriptor give EAGAIN instead of waiting.
pub(crate) fn set_nonblocking(raw: libc::c_int) -> io::Result<()> {
    switch_nonblocking(raw, true)
}

/// Whether calls on this descriptor, and on its copies, give EAGAIN instead of waiting.
pub(crate) fn switch_nonblocking(raw: libc::c_int, on: bool) -> io::Result<()> {
    let mut on = libc::c_int::from(on);
    // SAFETY: the argument is a c_int, as FIONBIO wants it.
    check(unsafe { libc::ioctl(raw, libc::FIONBIO, &raw mut on) }).map(drop)
}

pub(crate) fn connect(socket: &Descriptor, addr: &RawAddr) -> io::Result<()> {
    // SAFETY: address and length belong together.
    check(unsafe { libc::connect(socket.raw(), addr.as_ptr(), addr.len()) }).map(drop)
}

/// How a connect that was under way has ended.
pub(crate) fn take_error(socket: &Descriptor) -> io::Result<()> {
    let error = option(socket.raw(), libc::SOL_SOCKET, libc::SO_ERROR)?;
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// The descriptor of the next connection, non-blocking.
pub(crate) fn accept(listener: libc::c_int) -> io::Result<libc::c_int> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no address is asked for.
    check(unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), flags) })
}

pub(crate) fn receive(raw: libc::c_int, memory: &mut [u8]) -> io::Result<usize> {
    // SAFETY: room for as many bytes.
    count(unsafe { libc::recv(raw, memory.as_mut_ptr().cast(), memory.len(), libc::MSG_DONTWAIT) })
}

pub(crate) fn send(socket: &Descriptor, data: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: `data` is valid for reading.
    count(unsafe { libc::send(socket.raw(), data.as_ptr().cast(), data.len(), flags) })
}

pub(crate) fn send_message(socket: &Descriptor, message: &libc::msghdr) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the message points to a valid list of valid buffers.
    count(unsafe { libc::sendmsg(socket.raw(), message, flags) })
}

/// The result of a system call that gives a count, or -1 and `errno`.
fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Closes a descriptor outside of a ring.
pub(crate) fn close(raw: libc::c_int) {
    // SAFETY: the caller owned the descriptor, and gives it up with this.
    unsafe { libc::close(raw) };
}

/// Wakes a sleeping shard, whose driver watches the eventfd.
pub(crate) fn ring_bell(bell: &OwnedFd) {
    let one = 1u64;
    // SAFETY: eight bytes, as an eventfd wants them. It cannot fail: the counter never comes near its end.
    unsafe { libc::write(bell.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

/// An eventfd.
pub(crate) fn new_bell() -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    // SAFETY: just created, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Descriptors that one message may carry: fewer than the kernel's SCM_MAX_FD of 253.
pub(crate) const MESSAGE_DESCRIPTORS: usize = 64;

/// Sends one datagram with copies of at most [`MESSAGE_DESCRIPTORS`] descriptors (SCM_RIGHTS).
pub(crate) fn send_with_descriptors(
    raw: libc::c_int,
    data: &[u8],
    descriptors: &[OwnedFd],
) -> io::Result<()> {
    assert!(descriptors.len() <= MESSAGE_DESCRIPTORS, "the caller sends them in pieces");
    let numbers: Vec<libc::c_int> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let bytes = size_of_val(numbers.as_slice());
    // As words, since the header of a control message has to be aligned.
    let mut control = [0_u64; (MESSAGE_DESCRIPTORS * size_of::<libc::c_int>()) / 8 + 8];
    let mut part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: all zeros is a valid, empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if bytes > 0 {
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: computes a size.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(bytes as libc::c_uint) } as _;
        // SAFETY: `control` is aligned and larger than a header with the most descriptors, as the assertion above says.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(bytes as libc::c_uint) as _;
            std::ptr::copy_nonoverlapping(numbers.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), bytes);
        }
    }
    // SAFETY: the message points to data and control bytes that outlive the call.
    count(unsafe { libc::sendmsg(raw, &raw const message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) })
        .map(drop)
}
