//! A cluster of virtual machines on one machine, without privileges: QEMU, a private layer-2 segment with a DHCP server,
//! and ports of the host that lead to it. Knows nothing of how images are made.
//!
//! `Topology -> Plan -> Cluster`: what a person asks for, what follows from it, what runs. Everything that runs is
//! described by files in one folder ([`folder`]), so that any later command finds it again.

/// What a person asks for.
pub mod topology;

/// What follows from it: addresses, names, settings.
pub mod plan;

/// The folder that holds all of a cluster's state.
pub mod folder;

/// Processes that outlive the command that started them.
pub mod process;

/// The private segment: a switch with a DHCP server.
pub mod segment;

/// Virtual machines.
pub mod machine;

/// The way from the host into the segment.
pub mod uplink;

/// The cluster as it runs.
pub mod cluster;

/// What the nodes say of themselves.
pub mod survey;
