//! One connection with a broker: logged in, a request at a time or several in flight.

use crate::scram;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Why something did not work.
#[derive(Debug, Clone)]
pub enum Error {
    /// A broker said no: its error code, and to what.
    Said(i16, String),
    /// What came of it is not known: a connection was lost, or nothing was said in time.
    Lost(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // as the system calls a timeout of a socket
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Self::Lost("a broker did not answer in time".to_owned())
            }
            _ => Self::Lost(error.to_string()),
        }
    }
}

/// What does not read as it should.
pub fn garbled(what: impl std::fmt::Display) -> Error {
    Error::Lost(format!("a broker's answer cannot be read: {what}"))
}

/// An error code, as a result.
pub fn said(code: i16, about: &str) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(Error::Said(code, about.to_owned())) }
}

/// How a client logs in, and how long it waits for an answer.
pub struct Login {
    pub bootstrap: Vec<String>,
    pub user: String,
    pub password: String,
    pub client_id: String,
    pub timeout: Duration,
}

const MECHANISM: &str = "SCRAM-SHA-512";
/// No answer is longer; a length beyond is not one.
const MOST_BYTES: usize = 256 << 20;

pub struct Connection {
    stream: TcpStream,
    client_id: StrBytes,
    asked: i32,
}

impl Connection {
    /// Connect to `address` (host:port) and log in.
    pub fn open(login: &Login, address: &str) -> Result<Self> {
        let mut failure = Error::Lost(format!("{address} is no address"));
        for one in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&one, login.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(login.timeout))?;
                    stream.set_write_timeout(Some(login.timeout))?;
                    let client_id = StrBytes::from_string(login.client_id.clone());
                    let mut connection = Self { stream, client_id, asked: 0 };
                    connection.log_in(login)?;
                    return Ok(connection);
                }
                Err(error) => failure = Error::Lost(format!("{address}: {error}")),
            }
        }
        Err(failure)
    }

    fn log_in(&mut self, login: &Login) -> Result<()> {
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(MECHANISM));
        said(self.ask(&handshake, 1)?.error_code, "the mechanism to log in")?;
        let exchange = scram::Exchange::begin(&login.user)?;
        let first = self.authenticate(exchange.first())?;
        let (last, proof) = exchange.answer(&login.password, &first)?;
        proof.check(&self.authenticate(last)?)
    }

    fn authenticate(&mut self, words: String) -> Result<Bytes> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(words));
        let answer = self.ask(&request, 2)?;
        let about = answer.error_message.map_or_else(|| "the login".to_owned(), |words| words.to_string());
        said(answer.error_code, &about)?;
        Ok(answer.auth_bytes)
    }

    /// Send a request and wait for its answer.
    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        self.send(request, version)?;
        self.receive::<R>(version)
    }

    /// Send a request; answers come in the order of the requests.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<()> {
        self.asked = self.asked.wrapping_add(1);
        let mut out = BytesMut::with_capacity(512);
        out.put_i32(0);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.asked)
            .with_client_id(Some(self.client_id.clone()));
        encode_request_header_into_buffer(&mut out, &header).map_err(garbled)?;
        request.encode(&mut out, version).map_err(garbled)?;
        let length = (out.len() - 4) as i32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        Ok(self.stream.write_all(&out)?)
    }

    /// The answer to the earliest request that has none yet.
    pub fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MOST_BYTES {
            return Err(garbled(format!("{length} bytes")));
        }
        let mut answer = Vec::with_capacity(length);
        (&mut self.stream).take(length as u64).read_to_end(&mut answer)?;
        if answer.len() < length {
            return Err(Error::Lost("the connection ended within an answer".to_owned()));
        }
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, R::Response::header_version(version)).map_err(garbled)?;
        R::Response::decode(&mut answer, version).map_err(garbled)
    }
}
