//! Where things live on a node.

/// Site settings, JSON ([`crate::site::Site`]); part of the verified root.
pub const SITE: &str = "/usr/share/computatom/site.json";
/// Site settings that lie over [`SITE`] for this machine alone, JSON objects merged field by field: a system credential
/// (systemd.exec(5), "CREDENTIALS"), by which whoever starts a virtual machine tells it its cluster. Only units without a
/// mount name space of their own see it.
pub const SITE_CREDENTIAL: &str = "/run/credentials/@system/computatom.site";
/// What the nodes of this image can be, JSON ([`crate::role::ImageRoles`]); part of the verified root.
pub const ROLES: &str = "/usr/share/computatom/roles.json";
/// Manifest of the running image, JSON ([`crate::manifest::Manifest`]).
pub const MANIFEST: &str = "/usr/share/computatom/manifest.json";
/// The static `/init` that the builder puts into the initramfs.
pub const INIT: &str = "/usr/lib/computatom/init";
/// What the agent derived at this boot.
pub const RUN: &str = "/run/computatom";
/// What [`SITE_CREDENTIAL`] said at this boot, for all.
pub const SITE_TOLD: &str = "/run/computatom/site.json";
/// Who this node is, JSON.
pub const IDENTITY: &str = "/run/computatom/identity.json";
/// Which roles it has and why, JSON.
pub const ASSIGNMENT: &str = "/run/computatom/assignment.json";
/// Why this boot has no DATA, a sentence; not there when it has.
pub const WITHOUT_DATA: &str = "/run/computatom/without-data";
/// The CNI plugins of which Nomad knows nothing although they are there; not there when it knows all.
pub const WITHOUT_PLUGINS: &str = "/run/computatom/without-plugins";
/// Rendered Consul configuration directory.
pub const CONSUL_CONFIG: &str = "/run/computatom/consul.d";
/// Rendered Nomad configuration directory.
pub const NOMAD_CONFIG: &str = "/run/computatom/nomad.d";
/// Rendered Prometheus configuration directory.
pub const PROMETHEUS_CONFIG: &str = "/run/computatom/prometheus";
/// The fingerprint of the ssh host key, as `ssh-keygen -l` says it, once sshd runs.
pub const HOST_KEY: &str = "/run/computatom/ssh/host-key";
/// The agent's state on DATA: last known name and the like.
pub const STATE: &str = "/var/lib/computatom";
/// dpkg's database: part of the image, so /var/lib/dpkg is a link to it.
pub const DPKG: &str = "/usr/lib/sysimage/dpkg";
/// Port of the agent's page and metrics.
pub const AGENT_PORT: u16 = 4690;
