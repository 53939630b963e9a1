//! The servers. They run until they are killed; what cannot be set up panics.

use std::net::{SocketAddr, TcpListener};

use crate::{lines, reply};

/// What a task reads into, where the runtime wants the caller's buffer.
const BUFFER_BYTES: usize = 16 << 10;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// This project's engine: multishot receive, buffers borrowed from the ring.
pub fn engine(port: u16) {
    use bytes::Bytes;
    use engine::task::{Class, spawn};

    let options = engine::boot::Options { shards: 1, pin: false, driver: engine::boot::DriverChoice::Uring, signals: Vec::new() };
    let root = move |_| async move {
        if engine::boot::is_control() {
            return std::future::pending().await;
        }
        let listener = engine::net::Listener::bind(address(port), 0).expect("bind");
        let reply = Bytes::from(reply());
        while let Ok(conn) = listener.accept().await {
            let reply = reply.clone();
            drop(spawn(Class::Interactive, async move {
                while let Ok(input) = conn.recv().await {
                    if input.is_empty() {
                        return;
                    }
                    let count = lines(&input);
                    drop(input);
                    for _ in 0..count {
                        if conn.send(reply.clone()).await.is_err() {
                            return;
                        }
                    }
                }
            }));
        }
    };
    engine::boot::run(options, root).expect("start");
}

/// glommio: io_uring, one thread per core, readiness for sockets.
pub fn glommio(port: u16) {
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    use glommio::{LocalExecutorBuilder, Placement};

    let server = LocalExecutorBuilder::new(Placement::Unbound).spawn(move || async move {
        let listener = glommio::net::TcpListener::bind(address(port)).expect("bind");
        while let Ok(mut stream) = listener.accept().await {
            stream.set_nodelay(true).expect("nodelay");
            glommio::spawn_local(async move {
                let (reply, mut buffer) = (reply(), vec![0; BUFFER_BYTES]);
                while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                    for _ in 0..lines(&buffer[..len]) {
                        if stream.write_all(&reply).await.is_err() {
                            return;
                        }
                    }
                }
            })
            .detach();
        }
    });
    server.expect("start (is the memlock limit at least 512 KiB?)").join().expect("run");
}

/// tokio, current-thread: epoll.
pub fn tokio(port: u16) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("start");
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::bind(address(port)).await.expect("bind");
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("nodelay");
            tokio::task::spawn_local(async move {
                let (reply, mut buffer) = (reply(), vec![0; BUFFER_BYTES]);
                while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                    for _ in 0..lines(&buffer[..len]) {
                        if stream.write_all(&reply).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
}

/// An epoll loop by hand: one buffer for all connections, no tasks.
pub fn epoll(port: u16) {
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use std::collections::HashMap;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    let listener = TcpListener::bind(address(port)).expect("bind");
    listener.set_nonblocking(true).expect("nonblocking");
    let poll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
    let listening = u64::MAX;
    epoll::add(&poll, &listener, EventData::new_u64(listening), EventFlags::IN).expect("epoll add");
    let (mut streams, mut buffer, reply) = (HashMap::new(), vec![0; BUFFER_BYTES], reply());
    let mut events = Vec::with_capacity(1024);
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("epoll wait: {error}"),
        }
        for event in &events {
            let key = event.data.u64();
            if key == listening {
                let Ok((stream, _)) = listener.accept() else { continue };
                stream.set_nodelay(true).expect("nodelay");
                stream.set_nonblocking(true).expect("nonblocking");
                let key = stream.as_raw_fd() as u64;
                epoll::add(&poll, &stream, EventData::new_u64(key), EventFlags::IN).expect("epoll add");
                streams.insert(key, stream);
                continue;
            }
            let Some(stream) = streams.get_mut(&key) else { continue };
            let len = stream.read(&mut buffer).unwrap_or(0);
            // A reply of 100 bytes fits the socket buffer: the client waits for each one.
            if len == 0 || (0..lines(&buffer[..len])).any(|_| stream.write_all(&reply).is_err()) {
                streams.remove(&key);
            }
        }
    }
}
