//! A real S3 server in this process, for tests: SigV4, conditional writes, multipart uploads.

use std::{path::PathBuf, sync::Arc};

use hyper::{Method, Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};

pub const ACCESS_KEY: &str = "tale-test";
pub const SECRET_KEY: &str = "s3cr3t-that-no-message-may-show";
pub const BUCKET: &str = "tale";

/// The server; it ends with the value.
pub struct S3Server {
    endpoint: String,
    directory: tempfile::TempDir,
    listener: JoinHandle<()>,
}

impl S3Server {
    /// A server with one empty bucket, on a port of its own.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join(BUCKET)).expect("an empty bucket");
        let files = s3s_fs::FileSystem::new(directory.path()).expect("a directory to serve");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();

        let socket = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let endpoint = format!("http://{}", socket.local_addr().expect("an address"));
        let listener = tokio::spawn(serve(socket, service));
        Self { endpoint, directory, listener }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The file in which the server keeps an object.
    pub fn file_of(&self, key: &str) -> PathBuf {
        self.directory.path().join(BUCKET).join(key)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(socket: TcpListener, service: S3Service) {
    // The file-backed server checks If-None-Match and writes in two steps: one writer at a time makes them one.
    let writers = Arc::new(Mutex::new(()));
    while let Ok((connection, _)) = socket.accept().await {
        let (service, writers) = (service.clone(), Arc::clone(&writers));
        let answer = service_fn(move |request: Request<Incoming>| {
            let (service, writers) = (service.clone(), Arc::clone(&writers));
            async move {
                let writes = [Method::PUT, Method::POST, Method::DELETE].contains(request.method());
                let _turn = if writes { Some(writers.lock().await) } else { None };
                hyper::service::Service::call(&service, request).await
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), answer));
    }
}
