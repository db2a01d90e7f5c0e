//! `/metrics`: what Prometheus wants to know of a board that node_exporter does not tell.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use computatom_spec::role::Role;

use crate::root::Root;
use crate::status::Status;

/// Temperature and the like, from sysfs.
mod board;

/// The `Content-Type` of the answer (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted while the agent runs.
#[derive(Debug, Default)]
pub struct Counters {
    /// Times that name, address or roles changed after the first.
    pub changes: Counter,
    /// Units restarted or reloaded for a changed configuration.
    pub refreshes: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeInfo {
    hostname: String,
    source: String,
    board: String,
    serial: String,
    image: String,
    version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabel {
    role: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabel {
    service: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnitLabel {
    name: String,
}

/// The exposition of one scrape.
///
/// # Errors
/// None in practice: the encoder writes to a string.
pub fn exposition(root: &Root, status: &Status, counters: &Counters, started: f64) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("computatom");
    info(&mut registry, status);
    let roles = Family::<RoleLabel, Gauge>::default();
    for role in Role::ALL {
        roles
            .get_or_create(&RoleLabel { role: role.to_string() })
            .set(i64::from(status.assignment.has(role)));
    }
    registry.register("node_role", "Whether the node has the role", roles);
    let healthy = Family::<ServiceLabel, Gauge>::default();
    for check in &status.checks {
        healthy
            .get_or_create(&ServiceLabel {
                service: check.service.replace(' ', "_"),
            })
            .set(i64::from(check.healthy));
    }
    registry.register(
        "service_healthy",
        "Whether the service did its work at the last check",
        healthy,
    );
    let failed = Family::<UnitLabel, Gauge>::default();
    for unit in &status.failed_units {
        // What comes after is the last that it said.
        let name = unit.split(": ").next().unwrap_or(unit).to_owned();
        failed.get_or_create(&UnitLabel { name }).set(1);
    }
    registry.register("unit_failed", "A unit of systemd's that has failed", failed);
    let ready: Gauge = Gauge::default();
    ready.set(i64::from(status.is_ready()));
    registry.register("node_ready", "Whether everything that belongs on the node works", ready);
    let start = Gauge::<f64, AtomicU64>::default();
    start.set(started);
    registry.register_with_unit(
        "agent_start_time",
        "When the agent started, since 1970",
        Unit::Seconds,
        start,
    );
    registry.register(
        "identity_changes",
        "Changes of name, address or roles since the start",
        counters.changes.clone(),
    );
    registry.register(
        "unit_refreshes",
        "Units restarted or reloaded since the start",
        counters.refreshes.clone(),
    );
    board::register(&mut registry, root);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn info(registry: &mut Registry, status: &Status) {
    let identity = &status.identity;
    let family = Family::<NodeInfo, Gauge>::default();
    family
        .get_or_create(&NodeInfo {
            hostname: identity.hostname.clone(),
            source: format!("{:?}", identity.hostname_source).to_ascii_lowercase(),
            board: identity.board.model.clone(),
            serial: identity.board.serial.clone().unwrap_or_default(),
            image: status.image.clone().unwrap_or_default(),
            version: status.agent.to_owned(),
        })
        .set(1);
    registry.register("node_info", "Who the node is", family);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::identity::Identity;

    #[test]
    fn units_that_have_failed_are_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let settings = Settings::load(&root);
        let identity = Identity::derive(&root, &settings.site);
        let assignment = settings.assignment(&identity);
        let mut status = Status::unasked(&settings, &identity, &assignment, None);
        let told = |status: &Status| exposition(&root, status, &Counters::default(), 0.0).unwrap();
        assert!(!told(&status).contains("unit_failed{"), "{}", told(&status));
        status.failed_units = ["a@b:c.service: cannot: start".to_owned(), "var.mount".to_owned()].to_vec();
        let said = told(&status);
        for unit in ["a@b:c.service", "var.mount"] {
            assert!(
                said.contains(&format!("computatom_unit_failed{{name=\"{unit}\"}} 1\n")),
                "{said}"
            );
        }
    }
}
