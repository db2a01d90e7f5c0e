//! `prometheus-config-local`: Prometheus, watching the cluster's servers.

use std::fmt::Write as _;

use super::hcl::host_port;
use super::parts::{File, Parts, Start};
use super::settings::Settings;

/// Debian's own `prometheus.yml` is a conffile of its package, so ours has another name.
const FILE: &str = "/etc/prometheus/cluster.yml";
const ARGUMENTS: &str = "/etc/prometheus/cluster.env";

/// What is scraped on every server: job, port, and the path where it is not `/metrics`.
const JOBS: [(&str, u16, Option<&str>); 3] = [
    ("node", 9100, None),
    ("consul", 8500, Some("/v1/agent/metrics")),
    ("nomad", 4646, Some("/v1/metrics")),
];

/// `prometheus-config-local`
pub(super) fn local(settings: &Settings) -> Parts {
    let mut text = "# What Prometheus of this machine watches.\n# From the package prometheus-config-local, made by \
                    pkgbuilder; dpkg asks before it replaces your changes.\n\nglobal:\n  scrape_interval: 15s\n\n\
                    scrape_configs:\n  - job_name: prometheus\n    static_configs:\n      - targets: \
                    ['127.0.0.1:9090']\n"
        .to_owned();
    for (job, port, path) in JOBS {
        let _ = writeln!(text, "  - job_name: {job}");
        if let Some(path) = path {
            let _ = writeln!(
                text,
                "    metrics_path: {path}\n    params:\n      format: [prometheus]"
            );
        }
        let mut targets: Vec<String> = settings.servers.iter().map(|server| host_port(server, port)).collect();
        if job == "node" {
            targets.insert(0, host_port("127.0.0.1", port));
        }
        text.push_str("    static_configs:\n      - targets:\n");
        for target in targets {
            let _ = writeln!(text, "          - '{target}'");
        }
    }
    // Debian's Prometheus is built without discovery by Consul and Nomad.
    text.push_str(
        "  # Others: a file each, such as  [{targets: ['192.168.2.60:9100'], labels: {job: node}}]\n  - job_name: \
         others\n    file_sd_configs:\n      - files: ['/etc/prometheus/targets.d/*.yml', \
         '/etc/prometheus/targets.d/*.json']\n",
    );
    // Both Debian's unit and ours start `prometheus $ARGS`, from /etc/default/prometheus; what is read later wins.
    let arguments = format!(
        "# Arguments of prometheus, instead of /etc/default/prometheus. From the package prometheus-config-local.\n\
         ARGS=\"--config.file={FILE} --storage.tsdb.path=/var/lib/prometheus/metrics2/\"\n"
    );
    let unit = format!("# From the package prometheus-config-local.\n[Service]\nEnvironmentFile={ARGUMENTS}\n");
    Parts {
        summary: "what Prometheus of this machine watches".to_owned(),
        description: "Metrics of the cluster's servers: the machines, Consul and Nomad.\nFurther targets are files in \
                      /etc/prometheus/targets.d.\n"
            .to_owned(),
        depends: vec!["prometheus".to_owned()],
        files: vec![
            File::config(FILE, text),
            File::config(ARGUMENTS, arguments),
            File::folder("/etc/prometheus/targets.d"),
            File::fixed("/usr/lib/systemd/system/prometheus.service.d/10-cluster.conf", &unit),
        ],
        start: Start::Always("prometheus.service"),
        ..Parts::default()
    }
}
