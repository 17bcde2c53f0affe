//! Asks a server of the Open Inference Protocol one row after another, and says how long the answers took.
//!
//! Usage: `load PROTOCOL ADDRESS PATH INPUT ROWS.f32 WIDTH MODE CONNECTIONS CALLS SECONDS [ANSWERS]`
//!
//! - PROTOCOL `http` (JSON over HTTP/1.1) or `grpc`; PATH is the URL's path, or the model's name
//! - ROWS.f32: little-endian float32, WIDTH a row; each request is the next row, as input INPUT
//! - MODE `closed`: each of CALLS on each of CONNECTIONS asks again as soon as it is answered
//! - MODE a number: requests a second, at times of a Poisson process. Latency counts from the time when a
//!   request should have been sent, also where all calls were busy then
//! - MODE `RATE:SECONDS,RATE:SECONDS…`: the same, one rate after the other; SECONDS at the end then says nothing
//! - ANSWERS, over HTTP: a file for a line an answer: when it was due, in µs from the beginning, how long it took,
//!   its status, and 1 if it says when to ask again, else 0. A refusal is an answer then
//!
//! Prints one line: requests answered, seconds, and the latencies p50, p99, p999 in microseconds. Without ANSWERS
//! any answer that is no success ends it with an error.
//!
//! One thread, which sends bytes made beforehand and looks only for where an answer ends: what it takes from the
//! server, with which it shares the processors, is little and the same for all servers.

mod grpc;
mod http;
mod schedule;

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};
use schedule::Schedule;
use std::{
    collections::VecDeque,
    env,
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How requests and answers are written.
trait Protocol {
    /// What is sent once, before anything else.
    fn greeting(&self) -> Vec<u8>;
    /// Adds the bytes that ask with this row; several calls of a connection may be open.
    fn ask(&mut self, row: usize, to: &mut Vec<u8>);
    /// Takes whole messages off the front of what came. What must be said in return is added to `to`.
    fn take(&mut self, came: &[u8], to: &mut Vec<u8>) -> Result<Taken>;
}

/// What whole messages said.
struct Taken {
    bytes: usize,
    /// How many answers ended in them.
    answers: usize,
    /// What was said of these; of several they are all successes.
    said: Said,
}

#[derive(Clone, Copy)]
struct Said {
    status: u16,
    /// Whether it says when to ask again.
    retries: bool,
}

const SUCCESS: Said = Said { status: 200, retries: false };

/// An answer, and in nanoseconds when it was due and how long it took.
struct Answer {
    due: u64,
    took: u64,
    said: Said,
}

struct Connection {
    stream: TcpStream,
    protocol: Box<dyn Protocol>,
    out: Vec<u8>,
    came: Vec<u8>,
    /// When the calls that are open should have been sent. HTTP/2 may answer them in another order; over all
    /// requests the times add up to the same.
    open: VecDeque<Instant>,
}

struct Arguments {
    protocol: String,
    address: String,
    path: String,
    input: String,
    rows: Vec<f32>,
    width: usize,
    mode: String,
    connections: usize,
    calls: usize,
    seconds: f64,
    answers: Option<String>,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let requests = requests(&arguments);
    let mut connections = Vec::with_capacity(arguments.connections);
    for _ in 0..arguments.connections {
        connections.push(Connection::open(&arguments, &requests)?);
    }
    let length = Duration::from_secs_f64(arguments.seconds);
    let schedule = Schedule::new(&arguments.mode, length)?;
    let (answers, took) = run(&mut connections, schedule, arguments.calls)?;
    if let Some(path) = &arguments.answers {
        write(path, &answers)?;
    }
    let mut latencies: Vec<u64> = answers.iter().map(|answer| answer.took).collect();
    latencies.sort_unstable();
    let at =
        |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or(0);
    println!(
        "{} {:.6} {:.1} {:.1} {:.1}",
        latencies.len(),
        took.as_secs_f64(),
        at(0.5) as f64 / 1e3,
        at(0.99) as f64 / 1e3,
        at(0.999) as f64 / 1e3,
    );
    Ok(())
}

fn write(path: &str, answers: &[Answer]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for Answer { due, took, said } in answers {
        let (due, took, retries) = (due / 1000, took / 1000, u8::from(said.retries));
        writeln!(file, "{due} {took} {} {retries}", said.status)?;
    }
    Ok(file.flush()?)
}

fn arguments() -> Result<Arguments> {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let answers = (words.len() > 10).then(|| words.pop()).flatten();
    let [protocol, address, path, input, rows, width, mode, connections, calls, seconds] =
        words.as_slice()
    else {
        let usage = "usage: load http|grpc ADDRESS PATH INPUT ROWS.f32 WIDTH closed|RATE CONNECTIONS CALLS SECONDS";
        return Err(usage.into());
    };
    let bytes = fs::read(rows)?;
    let (numbers, _) = bytes.as_chunks::<4>();
    Ok(Arguments {
        protocol: protocol.clone(),
        address: address.clone(),
        path: path.clone(),
        input: input.clone(),
        rows: numbers.iter().map(|number| f32::from_le_bytes(*number)).collect(),
        width: width.parse()?,
        mode: mode.clone(),
        connections: connections.parse()?,
        calls: calls.parse()?,
        seconds: seconds.parse()?,
        answers,
    })
}

/// One request a row, as bytes; the connections share them for ever.
fn requests(arguments: &Arguments) -> &'static [Vec<u8>] {
    let rows = arguments.rows.chunks_exact(arguments.width);
    let made: Vec<Vec<u8>> = match arguments.protocol.as_str() {
        "grpc" => rows.map(|row| grpc::request(&arguments.path, &arguments.input, row)).collect(),
        _ => rows
            .map(|row| http::request(&arguments.address, &arguments.path, &arguments.input, row))
            .collect(),
    };
    made.leak()
}

impl Connection {
    fn open(arguments: &Arguments, requests: &'static [Vec<u8>]) -> Result<Self> {
        let stream = TcpStream::connect(&arguments.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let protocol: Box<dyn Protocol> = match arguments.protocol.as_str() {
            "grpc" => Box::new(grpc::Http2::new(&arguments.address, requests)),
            "http" => Box::new(http::Http1::new(requests, arguments.answers.is_some())),
            other => return Err(format!("there is no protocol {other}").into()),
        };
        let out = protocol.greeting();
        Ok(Self { stream, protocol, out, came: Vec::new(), open: VecDeque::new() })
    }

    fn ask(&mut self, row: usize, due: Instant) {
        self.protocol.ask(row, &mut self.out);
        self.open.push_back(due);
    }

    /// Writes what is to be written; the sockets' buffers hold more than all calls that may be open.
    fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    /// Reads what there is: how many answers ended, and what they said.
    fn read(&mut self) -> Result<(usize, Said)> {
        let mut chunk = [0_u8; 16 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(length) => self.came.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((0, SUCCESS)),
            Err(error) => return Err(error.into()),
        }
        let Taken { bytes, answers, said } = self.protocol.take(&self.came, &mut self.out)?;
        self.came.drain(..bytes);
        Ok((answers, said))
    }
}

/// Asks until the schedule ends and everything is answered: the answers, and how long it took.
fn run(
    connections: &mut [Connection],
    mut schedule: Schedule,
    calls: usize,
) -> Result<(Vec<Answer>, Duration)> {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (at, connection) in connections.iter().enumerate() {
        let data = epoll::EventData::new_u64(at as u64);
        epoll::add(&poller, &connection.stream, data, epoll::EventFlags::IN)?;
    }
    // Taken in turn, so that every connection is asked on.
    let mut free: VecDeque<usize> =
        (0..connections.len() * calls).map(|at| at % connections.len()).collect();
    let (mut all, mut row) = (Vec::with_capacity(1 << 20), 0);
    let mut events = Vec::with_capacity(connections.len());
    let began = schedule.begin();
    loop {
        let mut touched = Vec::new();
        while let Some(&at) = free.front() {
            let Some(due) = schedule.due(Instant::now()) else { break };
            free.pop_front();
            connections[at].ask(row, due);
            touched.push(at);
            row += 1;
        }
        for at in touched {
            connections[at].flush()?;
        }
        if schedule.is_over() && free.len() == connections.len() * calls {
            return Ok((all, began.elapsed()));
        }
        // Nothing to wait for but answers while no call is free.
        let wait = (!free.is_empty()).then(|| schedule.wait(Instant::now())).flatten();
        let wait = wait.map(Timespec::try_from).transpose()?;
        events.clear();
        match epoll::wait(&poller, rustix::buffer::spare_capacity(&mut events), wait.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let at = usize::try_from(event.data.u64())?;
            let connection = &mut connections[at];
            let (answers, said) = connection.read()?;
            let now = Instant::now();
            for _ in 0..answers {
                let due = connection.open.pop_front().ok_or("an answer that nobody asked for")?;
                let took = u64::try_from((now - due).as_nanos())?;
                let due = u64::try_from((due - began).as_nanos())?;
                all.push(Answer { due, took, said });
                free.push_back(at);
            }
            connection.flush()?;
        }
    }
}
