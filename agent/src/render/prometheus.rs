//! Prometheus: scrapes the whole cluster, which it finds in Consul.

use computatom_spec::paths;
use serde_json::Value;

use crate::render::{Action, File, Input};

/// Debian's unit.
pub const UNIT: &str = "prometheus.service";
/// Prometheus' port.
pub const PORT: u16 = 9090;

/// A scrape job, and the Consul services that are its targets.
#[derive(Debug)]
pub struct Job {
    /// Name of the job, and of its target list at the agent.
    pub name: &'static str,
    /// Consul services.
    pub services: &'static [&'static str],
    /// The Consul tag that marks the port to scrape.
    pub tag: &'static str,
    /// The metrics path where it is not `/metrics`; such an endpoint wants to be asked for Prometheus' format.
    path: Option<&'static str>,
}

/// All jobs. Nomad registers its HTTP port with the tag `http`; the other services are in [`super::consul`].
pub const JOBS: [Job; 5] = [
    Job {
        name: "nomad",
        services: &["nomad", "nomad-client"],
        tag: "http",
        path: Some("/v1/metrics"),
    },
    Job {
        name: "consul",
        services: &["consul-agent"],
        tag: "prometheus",
        path: Some("/v1/agent/metrics"),
    },
    Job {
        name: "node",
        services: &["node-exporter"],
        tag: "prometheus",
        path: None,
    },
    Job {
        name: "agent",
        services: &["computatom-agent"],
        tag: "prometheus",
        path: None,
    },
    Job {
        name: "prometheus",
        services: &["prometheus"],
        tag: "prometheus",
        path: None,
    },
];

/// Alerts that mean something at home without tuning.
const RULES: &str = include_str!("prometheus.rules.yml");

/// Prometheus' files.
pub fn files(input: &Input<'_>) -> Vec<File> {
    let settings = &input.site.prometheus;
    // Debian's 2.53 takes one listen address only; the page and the health check use this one as well.
    let arguments = [
        format!("--config.file={}/prometheus.yml", paths::PROMETHEUS_CONFIG),
        "--storage.tsdb.path=/var/lib/prometheus/metrics2/".to_owned(),
        format!("--storage.tsdb.retention.time={}", settings.retention),
        format!("--storage.tsdb.retention.size={}", settings.retention_size),
        format!("--web.listen-address={}:{PORT}", input.address),
    ];
    let file = |name: &str, text: String| File {
        path: format!("{}/{name}", paths::PROMETHEUS_CONFIG),
        text,
        unit: UNIT,
        action: Action::Reload,
    };
    vec![
        file("prometheus.yml", configuration(input)),
        file("rules.yml", format!("{}\n{RULES}", comment(input))),
        File {
            path: format!("{}/prometheus.env", paths::RUN),
            text: format!("ARGS=\"{}\"\n{}", arguments.join(" "), input.memory_limit()),
            unit: UNIT,
            action: Action::Restart,
        },
    ]
}

fn comment(input: &Input<'_>) -> String {
    input
        .comment()
        .lines()
        .flat_map(|line| ["# ", line, "\n"].map(str::to_owned))
        .collect()
}

fn configuration(input: &Input<'_>) -> String {
    // A JSON string is a YAML string.
    let quote = |text: &str| Value::from(text).to_string();
    let mut text = format!(
        "{}\nglobal:\n  scrape_interval: {}\n  external_labels:\n    cluster: {}\n\nrule_files:\n  - {}/rules.yml\n\n\
         scrape_configs:\n",
        comment(input),
        input.site.prometheus.scrape_interval,
        quote(&input.site.cluster),
        paths::PROMETHEUS_CONFIG,
    );
    for job in &JOBS {
        text.push_str(&scrape(job));
    }
    text
}

/// Debian builds Prometheus without Consul and Nomad discovery, so the agent beside it asks Consul and answers in
/// Prometheus' HTTP discovery format. Unlike DNS that also lists what is down, which is what alerts are for.
fn scrape(job: &Job) -> String {
    let path = job.path.map_or_else(String::new, |path| {
        format!("    metrics_path: {path}\n    params:\n      format: [prometheus]\n")
    });
    let drop = if job.path.is_some() { DROP_PEER_METRICS } else { "" };
    format!(
        "  - job_name: {name}\n{path}    http_sd_configs:\n      \
         - url: http://127.0.0.1:{port}/targets/{name}\n        refresh_interval: 30s\n{drop}",
        name = job.name,
        port = paths::AGENT_PORT,
    )
}

/// raft 1.7 publishes every peer twice: with a label, and under a name of its own, which no query can use.
const DROP_PEER_METRICS: &str = "    metric_relabel_configs:\n      \
    - source_labels: [__name__]\n        \
    regex: '(nomad|consul)_raft_replication_(appendEntries_rpc|appendEntries_logs|heartbeat|installSnapshot)_[0-9a-f]{8}_.*'\n        \
    action: drop\n";
