//! Starts and stops the three servers: public, ops, and the control socket.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpServer, web};
use rustls::ServerConfig;
use tokio::task::JoinHandle;

use super::auth::{SameUser, Via};
use super::{Front, ops, route};
use crate::telemetry::{Fault, report};

/// How long idle connections stay open. Forges and proxies close theirs after 60 s or less.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// For the whole of a request's headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// What an orderly stop may take at most, whatever the caller's grace is.
const SHUTDOWN_SECONDS_MAX: u64 = 30;

/// Where to listen.
#[derive(Debug)]
pub struct Listeners {
    /// The public listener's sockets.
    pub public: Vec<TcpListener>,
    /// The ops listener's socket.
    pub ops: TcpListener,
    /// The control socket.
    pub control: Option<UnixListener>,
    /// TLS for the public listener.
    pub tls: Option<ServerConfig>,
}

/// The servers at work.
#[derive(Debug)]
pub struct Running {
    front: Arc<Front>,
    intake: Vec<ServerHandle>,
    ops: ServerHandle,
    tasks: Vec<JoinHandle<io::Result<()>>>,
}

/// Starts all servers; needs a tokio runtime.
///
/// # Errors
/// When a socket cannot be used.
pub fn start(front: Arc<Front>, listeners: Listeners) -> io::Result<Running> {
    let mut tasks = Vec::new();
    let mut intake = Vec::new();
    let mut run = |server: actix_web::dev::Server| {
        let handle = server.handle();
        tasks.push(tokio::spawn(server));
        handle
    };
    // A command that only asks the store listens to nobody else.
    if !listeners.public.is_empty() {
        intake.push(run(public(&front, listeners.public, listeners.tls)?));
    }
    if let Some(socket) = listeners.control {
        intake.push(run(control(&front, socket)?));
    }
    let ops = run(ops_server(&front, listeners.ops)?);
    Ok(Running { front, intake, ops, tasks })
}

impl Running {
    /// Stops taking requests at once, lets those under way end within `grace`, then closes everything. The ops
    /// listener answers (not ready) until the end.
    pub async fn stop(self, grace: Duration) {
        self.front.health.set_draining();
        let orderly = futures_util::future::join_all(self.intake.iter().map(|server| server.stop(true)));
        if tokio::time::timeout(grace, orderly).await.is_err() {
            report!(
                Fault::RequestsCut,
                "requests were still open when the time for an orderly stop was over"
            );
            for task in &self.tasks {
                task.abort();
            }
        }
        let last = self.ops.stop(false);
        let _ = tokio::time::timeout(Duration::from_secs(1), last).await;
    }
}

fn public(
    front: &Arc<Front>,
    sockets: Vec<TcpListener>,
    tls: Option<ServerConfig>,
) -> io::Result<actix_web::dev::Server> {
    let shared = Arc::clone(front);
    let limits = front.limits;
    let mut server = HttpServer::new(move || public_app(Arc::clone(&shared), Via::Public))
        .workers(limits.workers.max(1))
        .worker_max_blocking_threads(8)
        .max_connections(limits.connections_max)
        .backlog(2048)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEADERS_WITHIN)
        .client_disconnect_timeout(Duration::from_secs(1))
        .tls_handshake_timeout(HEADERS_WITHIN)
        .shutdown_timeout(SHUTDOWN_SECONDS_MAX)
        .disable_signals();
    for socket in sockets {
        server = match &tls {
            Some(tls) => server.listen_rustls_0_23(socket, tls.clone())?,
            None => server.listen(socket)?,
        };
    }
    Ok(server.run())
}

fn control(front: &Arc<Front>, socket: UnixListener) -> io::Result<actix_web::dev::Server> {
    let shared = Arc::clone(front);
    let server = HttpServer::new(move || public_app(Arc::clone(&shared), Via::Control))
        .workers(1)
        .worker_max_blocking_threads(2)
        .shutdown_timeout(SHUTDOWN_SECONDS_MAX)
        .disable_signals()
        .on_connect(|stream, extensions| {
            if is_same_user(stream) {
                extensions.insert(SameUser);
            }
        })
        .listen_uds(socket)?;
    Ok(server.run())
}

/// The file's mode keeps others out; this asks the kernel who it was, too.
fn is_same_user(stream: &dyn std::any::Any) -> bool {
    let stream = stream.downcast_ref::<tokio::net::UnixStream>();
    let user = stream.and_then(|stream| stream.peer_cred().ok()).map(|peer| peer.uid());
    user.is_some_and(|user| user == 0 || user == rustix::process::geteuid().as_raw())
}

fn ops_server(front: &Arc<Front>, socket: TcpListener) -> io::Result<actix_web::dev::Server> {
    let shared = Arc::clone(front);
    let server = HttpServer::new(move || {
        let front = web::Data::from(Arc::clone(&shared));
        App::new().app_data(front).wrap(safe_headers(false)).configure(ops::mount)
    })
    .workers(1)
    .worker_max_blocking_threads(1)
    .max_connections(256)
    .client_request_timeout(HEADERS_WITHIN)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(socket)?;
    Ok(server.run())
}

/// What the public listener and the control socket answer.
pub(crate) fn public_app(
    front: Arc<Front>,
    via: Via,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let https = front.public_url.scheme() == "https";
    App::new()
        .app_data(web::Data::from(front))
        .app_data(web::Data::new(via))
        .wrap(safe_headers(https))
        .configure(|config| route::mount(config, route::table()))
        .default_service(web::to(route::nowhere))
}

/// On every answer that does not set its own.
fn safe_headers(https: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add(("Cache-Control", "no-store"))
        .add((
            "Content-Security-Policy",
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ));
    if https { headers.add(("Strict-Transport-Security", "max-age=31536000")) } else { headers }
}
