//! A wire to PostgreSQL that breaks.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use rand::{Rng, RngExt};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

use crate::Server;

/// Carries connections to a server, each until it has carried so many bytes; then both ends are cut off.
pub struct Proxy {
    url: String,
    is_cutting: Arc<AtomicBool>,
    cuts: Arc<AtomicU32>,
}

impl Proxy {
    /// Starts one on a port of its own. A connection carries 512 bytes to 128 KiB, as often less than 8 KiB as more.
    ///
    /// # Errors
    /// Where the machine has no port left, or the server no socket.
    pub fn start(
        server: &Server,
        mut rng: impl Rng + Send + 'static,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let options = PgConnectOptions::from_str(server.url())?;
        let socket = options.get_socket().ok_or("the server has no socket")?.join(".s.PGSQL.5432");
        let listener = server.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!(
            "postgres://postgres@{}/{}?sslmode=disable",
            listener.local_addr()?,
            options.get_database().unwrap_or("tale")
        );
        let proxy = Self { url, is_cutting: Arc::new(AtomicBool::new(true)), cuts: Arc::default() };
        let (is_cutting, cuts) = (proxy.is_cutting.clone(), proxy.cuts.clone());
        server.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let left = rng.random_range(9.0..17.0_f64).exp2() as u64;
                let budget = Budget { left, is_cutting: is_cutting.clone() };
                let (socket, cuts) = (socket.clone(), cuts.clone());
                tokio::spawn(async move {
                    let Ok(server) = UnixStream::connect(socket).await else { return };
                    if carry(client, server, budget).await {
                        cuts.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Ok(proxy)
    }

    /// The address of the server behind it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many connections it has cut.
    pub fn cuts(&self) -> u32 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// From now on it holds.
    pub fn hold(&self) {
        self.is_cutting.store(false, Ordering::Relaxed);
    }
}

/// How many bytes a connection still carries.
struct Budget {
    left: u64,
    is_cutting: Arc<AtomicBool>,
}

impl Budget {
    /// How many of so many bytes go through.
    fn take(&mut self, bytes: usize) -> usize {
        if !self.is_cutting.load(Ordering::Relaxed) {
            return bytes;
        }
        let taken = u64::try_from(bytes).unwrap_or(u64::MAX).min(self.left);
        self.left -= taken;
        usize::try_from(taken).unwrap_or(bytes)
    }
}

/// Carries bytes both ways; says whether it cut the connection, maybe in the middle of a message.
async fn carry(client: TcpStream, server: UnixStream, mut budget: Budget) -> bool {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = ([0; 8192], [0; 8192]);
    loop {
        let goes_on = tokio::select! {
            read = from_client.read(&mut asked) => pass(read, &asked, &mut to_server, &mut budget).await,
            read = from_server.read(&mut answered) => pass(read, &answered, &mut to_client, &mut budget).await,
        };
        if let Some(was_cut) = goes_on {
            return was_cut;
        }
    }
}

/// Passes on what was read; nothing where the connection goes on, else whether that was a cut.
async fn pass(
    read: std::io::Result<usize>,
    bytes: &[u8],
    to: &mut (impl AsyncWrite + Unpin),
    budget: &mut Budget,
) -> Option<bool> {
    let Ok(count @ 1..) = read else { return Some(false) };
    let through = budget.take(count);
    if to.write_all(&bytes[..through]).await.is_err() {
        return Some(false);
    }
    (through < count).then_some(true)
}
