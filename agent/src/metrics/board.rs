//! The board's own sensors and the room on DATA.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::root::Root;

/// Adds what this board can tell; a sensor that is not there is left out.
pub(super) fn register(registry: &mut Registry, root: &Root) {
    if let Some(celsius) = temperature(root) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(celsius);
        registry.register_with_unit(
            "board_temperature",
            "Temperature of the processor",
            Unit::Celsius,
            gauge,
        );
    }
    if let Ok(data) = rustix::fs::statvfs(root.path("/var")) {
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(data.f_frsize)).unwrap_or(i64::MAX);
        let size: Gauge = Gauge::default();
        size.set(bytes(data.f_blocks));
        registry.register_with_unit("data_size", "Size of DATA", Unit::Bytes, size);
        let available: Gauge = Gauge::default();
        available.set(bytes(data.f_bavail));
        registry.register_with_unit("data_available", "Room on DATA", Unit::Bytes, available);
    }
}

/// The hottest thermal zone, in degrees Celsius (`Documentation/driver-api/thermal/sysfs-api.rst`: millidegrees).
fn temperature(root: &Root) -> Option<f64> {
    root.list("/sys/class/thermal")
        .iter()
        .filter(|zone| zone.starts_with("thermal_zone"))
        .filter_map(|zone| {
            root.attribute(&format!("/sys/class/thermal/{zone}/temp"))?
                .parse::<i32>()
                .ok()
        })
        .max()
        .map(|millidegrees| f64::from(millidegrees) / 1000.0)
}
