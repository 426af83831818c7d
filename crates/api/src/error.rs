use std::{io, net::SocketAddr, path::PathBuf};

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Another program listens there.
    #[error("{0} is taken by another program")]
    Taken(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file with the tokens cannot be read.
    #[error("cannot read the tokens in {}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file with the tokens has a line that is none.
    #[error("{}:{line}: {message}", path.display())]
    TokenLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it; never the token.
        message: &'static str,
    },
    /// The file with the tokens has none: that is not how an API is opened.
    #[error("{} has no token", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
    },
    /// The variable with the token holds none.
    #[error("TALE_API_TOKEN: {0}")]
    TokenVariable(&'static str),
}
