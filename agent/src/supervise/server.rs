//! The agent's HTTP interface on port 4690: the page, the metrics, Prometheus' targets.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use computatom_spec::paths;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::status::page;
use crate::supervise::daemon::Node;
use crate::{metrics, targets};

/// One listener per address, so that nothing is offered to networks that containers make.
#[derive(Debug, Default)]
pub struct Listeners(Vec<(IpAddr, JoinHandle<()>)>);

impl Listeners {
    /// Listens on loopback and on `lan`; leaves an address that the node no longer has.
    pub async fn follow(&mut self, node: &Arc<Node>, lan: Option<Ipv4Addr>) {
        let wanted: Vec<IpAddr> = [Some(Ipv4Addr::LOCALHOST), lan]
            .into_iter()
            .flatten()
            .map(IpAddr::V4)
            .collect();
        self.0.retain(|(address, task)| {
            let keep = wanted.contains(address) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for address in wanted {
            if self.0.iter().any(|(known, _)| *known == address) {
                continue;
            }
            match TcpListener::bind((address, paths::AGENT_PORT)).await {
                Ok(listener) => {
                    let router = router(Arc::clone(node));
                    let task = tokio::spawn(async move {
                        // Ends only when it is aborted: axum retries what can fail.
                        let _ = axum::serve(listener, router).await;
                    });
                    self.0.push((address, task));
                }
                Err(err) => {
                    let err = anyhow::Error::new(err);
                    let place = format!("listening on {address}:{}", paths::AGENT_PORT);
                    crate::cli::complain(&err.context(place));
                }
            }
        }
    }
}

/// All there is to ask.
fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route(
            "/",
            get(async |State(node): State<Arc<Node>>| Html(page::render(&node.status()))),
        )
        .route("/healthz", get(async || "ok\n"))
        .route(
            "/status.json",
            get(async |State(node): State<Arc<Node>>| axum::Json(node.status())),
        )
        .route("/metrics", get(exposition))
        .route("/targets/{job}", get(discovery))
        .with_state(node)
}

async fn exposition(State(node): State<Arc<Node>>) -> Response {
    match metrics::exposition(&node.root, &node.status(), &node.counters, node.started) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(err) => (StatusCode::INTERNAL_SERVER_ERROR, err.to_string()).into_response(),
    }
}

async fn discovery(Path(job): Path<String>) -> Response {
    let answer = tokio::task::spawn_blocking(move || targets::of(&job)).await;
    match answer {
        Ok(Ok(Some(groups))) => axum::Json(groups).into_response(),
        Ok(Ok(None)) => (StatusCode::NOT_FOUND, "no such job\n").into_response(),
        Ok(Err(err)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{err:#}\n")).into_response(),
        Err(err) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{err}\n")).into_response(),
    }
}
