//! Accepts connections, gives them time, and ends in order.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::{
    App,
    limits::{MAX_CONNECTIONS, Times},
    routes::router,
};
use crate::terminal::say;

/// The address that a request was sent to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local(pub SocketAddr);

/// Serves until `stop` becomes true; then finishes what is under way.
pub(super) async fn serve(listener: TcpListener, app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let acceptor = Acceptor {
        listener,
        router: router(Arc::clone(&app)),
        places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        times: app.times,
    };
    let connections = GracefulShutdown::new();
    loop {
        let (connection, place) = select! {
            accepted = acceptor.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        spawn(connections.watch(connection), place);
    }
    app.ending.store(true, Ordering::Relaxed);
    select! {
        () = connections.shutdown() => {}
        // Who comes now is told that the service ends.
        () = acceptor.serve_unwatched() => {}
        () = sleep(app.times.end) => say(format!("some requests were not finished within {} seconds", app.times.end.as_secs_f32())),
    }
}

struct Acceptor {
    listener: TcpListener,
    router: Router,
    places: Arc<Semaphore>,
    times: Times,
}

impl Acceptor {
    /// The next connection, and its place among those at a time.
    async fn accept(
        &self,
    ) -> (impl GracefulConnection<Error = hyper::Error> + Send + use<>, Option<OwnedSemaphorePermit>) {
        // Never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        loop {
            if let Ok((stream, _)) = self.listener.accept().await
                && let Ok(local) = stream.local_addr()
            {
                return (self.connection(stream, local), place);
            }
            // Such as too many open files: some will be closed.
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn serve_unwatched(&self) {
        loop {
            let (connection, place) = self.accept().await;
            spawn(connection, place);
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        local: SocketAddr,
    ) -> impl GracefulConnection<Error = hyper::Error> + Send + use<> {
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Local(local));
            let answer = router.clone().oneshot(request.map(Body::new));
            async move {
                let Ok::<Response<Body>, Infallible>(response) = answer.await;
                Ok::<_, Infallible>(response)
            }
        });
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.times.answer));
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.times.header)
            .serve_connection(TokioIo::new(Box::pin(stream)), service)
    }
}

fn spawn(connection: impl Future + Send + 'static, place: Option<OwnedSemaphorePermit>) {
    tokio::spawn(async move {
        // A client that goes away is no error.
        let _ = connection.await;
        drop(place);
    });
}
