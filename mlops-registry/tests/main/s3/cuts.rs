//! A line to a server that breaks.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Hands on what is sent, and breaks off the first answers that are longer than so many bytes.
pub(super) struct Line {
    pub(super) port: u16,
    broken: Arc<AtomicUsize>,
}

impl Line {
    /// To a port of this machine; ends with the process.
    pub(super) fn to(port: u16, times: usize, after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let broken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&broken);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || hand_on(from, to, usize::MAX));
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    let limit =
                        if count.load(Ordering::SeqCst) < times { after } else { usize::MAX };
                    if hand_on(server, client, limit) {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { port: own, broken }
    }

    /// How many answers broke off.
    pub(super) fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}

/// Whether it broke off before the end.
fn hand_on(mut from: TcpStream, mut to: TcpStream, limit: usize) -> bool {
    let (mut piece, mut sent) = (vec![0; 64 << 10], 0);
    loop {
        let read = from.read(&mut piece).unwrap_or(0);
        if read == 0 || to.write_all(&piece[..read]).is_err() {
            let _ = to.shutdown(Shutdown::Write);
            return false;
        }
        sent += read;
        if sent >= limit {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return true;
        }
    }
}
