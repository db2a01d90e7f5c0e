//! What a cluster looks like: a line for each node.

use std::fmt::Write;

use computatom_cluster::cluster::Cluster;
use computatom_cluster::segment::Faults;
use computatom_cluster::survey::{Power, Report};

/// Why writing to a text does not fail.
const ENDLESS: &str = "a text takes everything";

/// The nodes as a table, and what is wrong on purpose below it.
pub fn table(cluster: &Cluster, reports: &[Report], faults: &Faults) -> String {
    let head = ["node", "roles", "datacenter", "address", "consul", "nomad", "state"]
        .map(str::to_owned)
        .to_vec();
    let mut rows = vec![head];
    for report in reports {
        let roles: Vec<&str> = report.roles.iter().map(|role| role.name()).collect();
        let state = match (report.ready, report.power, report.waits_for.first()) {
            (true, ..) => "ready".to_owned(),
            (_, Power::Off, _) => "off".to_owned(),
            (_, Power::Paused, _) => "paused".to_owned(),
            (_, _, Some(wait)) => format!("waits for {wait}"),
            (_, _, None) => "on".to_owned(),
        };
        rows.push(vec![
            report.name.clone(),
            roles.join("+"),
            report.datacenter.clone(),
            report.address.to_string(),
            report.consul.clone().unwrap_or_else(|| "-".to_owned()),
            report.nomad.clone().unwrap_or_else(|| "-".to_owned()),
            state,
        ]);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    for group in &faults.partition {
        let names: Vec<&str> = group.iter().map(String::as_str).collect();
        writeln!(text, "cut off from the other groups: {}", names.join(", ")).expect(ENDLESS);
    }
    for name in &faults.unplugged {
        writeln!(text, "cable pulled: {name}").expect(ENDLESS);
    }
    text.push_str(&places(cluster, reports));
    text
}

/// Where a browser finds what.
pub fn places(cluster: &Cluster, reports: &[Report]) -> String {
    let ports = cluster.state().plan.ports;
    let mut text = format!(
        "\nConsul      http://127.0.0.1:{}/ui/\nNomad       http://127.0.0.1:{}/ui/\n",
        ports.consul, ports.nomad
    );
    let has_monitor = cluster
        .state()
        .plan
        .nodes
        .iter()
        .any(|node| node.roles.contains(&computatom_spec::role::Role::Monitor));
    if has_monitor {
        writeln!(text, "Prometheus  http://127.0.0.1:{}/", ports.prometheus).expect(ENDLESS);
    }
    writeln!(text, "DNS         dig @127.0.0.1 -p {} nomad.service.consul", ports.dns).expect(ENDLESS);
    for report in reports {
        writeln!(text, "{:<11} {}", report.name, report.page).expect(ENDLESS);
    }
    text
}
