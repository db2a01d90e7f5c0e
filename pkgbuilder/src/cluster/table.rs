//! What a cluster looks like: a line for each node.

use std::collections::BTreeSet;
use std::fmt::Write;

use computatom_cluster::cluster::Cluster;
use computatom_cluster::plan::Plan;
use computatom_cluster::segment::Faults;
use computatom_cluster::survey::{Power, Report};
use computatom_spec::role::Role;

/// Why writing to a text does not fail.
const ENDLESS: &str = "a text takes everything";

/// The nodes as a table; below it why they have their roles, and what is wrong on purpose.
pub fn table(cluster: &Cluster, reports: &[Report], faults: &Faults) -> String {
    let mut text = rows(reports);
    text.push_str(&reasons(&cluster.state().plan, reports));
    for group in &faults.partition {
        let names: Vec<&str> = group.iter().map(String::as_str).collect();
        writeln!(text, "cut off from the other groups: {}", names.join(", ")).expect(ENDLESS);
    }
    for name in &faults.unplugged {
        writeln!(text, "cable pulled: {name}").expect(ENDLESS);
    }
    text.push_str(&places(cluster));
    text
}

fn rows(reports: &[Report]) -> String {
    let head = ["node", "roles", "datacenter", "address", "consul", "nomad", "state"];
    let mut rows = vec![head.map(str::to_owned)];
    for report in reports {
        rows.push([
            report.name.clone(),
            named(&report.roles),
            report.datacenter.clone(),
            report.address.to_string(),
            report.consul.clone().unwrap_or_else(|| "-".to_owned()),
            report.nomad.clone().unwrap_or_else(|| "-".to_owned()),
            state(report),
        ]);
    }
    let widths: Vec<usize> = (0..head.len())
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
    text
}

fn state(report: &Report) -> String {
    match (report.ready, report.power, report.waits_for.as_slice()) {
        (true, ..) => "ready".to_owned(),
        (_, Power::Off, _) => "off".to_owned(),
        (_, Power::Paused, _) => "paused".to_owned(),
        (.., []) => "on".to_owned(),
        (.., [wait]) => format!("waits for {wait}"),
        (.., [wait, more @ ..]) => format!("waits for {wait} (and {} more)", more.len()),
    }
}

/// Why each has its roles, a line for each that has said so.
fn reasons(plan: &Plan, reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let Some(reason) = &report.reason else { continue };
        let sorted = |roles: &[Role]| roles.iter().copied().collect::<BTreeSet<Role>>();
        // Settings of the topology, or an image without the programs, may have it otherwise.
        let planned = plan.node(&report.name).map(|node| node.roles.as_slice());
        let but = match planned.filter(|planned| sorted(planned) != sorted(&report.roles)) {
            Some(planned) => format!(", not {} as in the topology", named(planned)),
            None => String::new(),
        };
        writeln!(text, "{} is {}{but}: {reason}", report.name, named(&report.roles)).expect(ENDLESS);
    }
    if !text.is_empty() {
        text.insert(0, '\n');
    }
    text
}

fn named(roles: &[Role]) -> String {
    if roles.is_empty() {
        return "nothing".to_owned();
    }
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    names.join("+")
}

/// Where a browser finds what.
pub fn places(cluster: &Cluster) -> String {
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
        .any(|node| node.roles.contains(&Role::Monitor));
    if has_monitor {
        // From there each build leads to the UI that it has, Debian's to `/classic/graph`.
        writeln!(text, "Prometheus  http://127.0.0.1:{}/", ports.prometheus).expect(ENDLESS);
    }
    writeln!(text, "DNS         dig @127.0.0.1 -p {} nomad.service.consul", ports.dns).expect(ENDLESS);
    for (index, node) in cluster.state().plan.nodes.iter().enumerate() {
        writeln!(text, "{:<11} {}", node.name, cluster.state().page(index)).expect(ENDLESS);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use computatom_cluster::topology::Topology;
    use serde_json::json;

    use super::*;

    fn report(name: &str, roles: &[Role], reason: Option<&str>, waits_for: &[&str]) -> Report {
        Report {
            name: name.to_owned(),
            power: Power::On,
            roles: roles.to_vec(),
            reason: reason.map(str::to_owned),
            datacenter: "home".to_owned(),
            address: Ipv4Addr::new(10, 77, 0, 11),
            page: String::new(),
            consul: None,
            nomad: None,
            ready: waits_for.is_empty(),
            waits_for: waits_for.iter().map(|wait| (*wait).to_owned()).collect(),
            log: std::path::PathBuf::new(),
        }
    }

    #[test]
    fn why_a_node_is_what_it_is_and_all_that_it_waits_for() {
        let topology: Topology = serde_json::from_value(json!({"nodes": [
            {"name": "core-1", "roles": ["client", "server"]},
            {"name": "core-2", "roles": ["server", "monitor"]},
            {"name": "core-3", "roles": ["server"]},
        ]}))
        .unwrap();
        let plan = Plan::new("test", &topology).unwrap();
        let reports = [
            report(
                "core-1",
                &[Role::Server, Role::Client],
                Some("rule 1"),
                &["a leader", "docker", "chrony"],
            ),
            report(
                "core-2",
                &[Role::Server],
                Some("rule 2; but its image cannot"),
                &["a leader"],
            ),
            report("core-3", &[Role::Server], None, &[]),
        ];
        assert_eq!(
            rows(&reports),
            "\
node    roles          datacenter  address     consul  nomad  state
core-1  server+client  home        10.77.0.11  -       -      waits for a leader (and 2 more)
core-2  server         home        10.77.0.11  -       -      waits for a leader
core-3  server         home        10.77.0.11  -       -      ready
"
        );
        assert_eq!(
            reasons(&plan, &reports),
            "\ncore-1 is server+client: rule 1\n\
             core-2 is server, not server+monitor as in the topology: rule 2; but its image cannot\n"
        );
    }
}
