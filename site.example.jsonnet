// Site settings: what you say about your cluster. Copy this file to `site.jsonnet` (which git ignores), or name
// another with `--site FILE`. Every field may be left out; what you see are the defaults.
//
// Nothing here is secret: the settings are part of the image, and images are public.
{
  // The name people see.
  cluster: 'home',

  // Consul and Nomad datacenter, and Nomad region.
  datacenter: 'home',
  region: 'global',

  // Host names, as your router's DHCP gives them, of the boards that are servers. Their number is what Consul and
  // Nomad wait for before they elect a leader: use one, three or five.
  // These boards found the cluster; a server that only a rule in `roles` makes joins them.
  servers: ['core-1'],

  // Addresses or DNS names of the servers, where the names above do not resolve in your network.
  server_addresses: [],

  // Addresses of servers in your other datacenters, which see each other then in Consul and Nomad. Each datacenter has
  // its own `datacenter`, `region` and `servers`.
  wan_addresses: [],

  // Your network in CIDR notation, such as '192.168.1.0/24'; null takes that of the interface with the default route.
  lan: null,

  // A board that DHCP does not name calls itself by this and its serial number.
  hostname_prefix: 'node',

  // Who does what: the first rule whose conditions all hold decides. Without rules, `servers` are servers, every
  // board with `nomad.client_memory_mib` of memory is a client, and the first server is the monitor. For example
  //     { hostname: 'core-*', roles: ['server', 'client'] },
  //     { address: ['192.168.1.64/26'], memory_mib: 1500, roles: ['client'] },
  //     { board: 'Raspberry Pi Zero*', roles: ['monitor'] },
  //     { arch: 'armel', roles: [] },
  roles: [],

  // NTP servers; none means Debian's pool. A router that serves time is best: boards have no clock.
  ntp: [],

  // As in /usr/share/zoneinfo.
  timezone: 'Etc/UTC',

  // Where the boards are, for the wireless network: the two letters of your country, such as 'DE'. The network's name and key
  // are secrets: `pkgbuilder burn --secrets FILE` puts them onto a card (docs/burning.md).
  wifi_country: null,

  // Public keys for root, one line each as in ~/.ssh/id_ed25519.pub. No key, no sshd.
  ssh_keys: [],

  nomad: {
    // Boards with less memory, in MiB, run no jobs unless a rule says so.
    client_memory_mib: 700,
    // Whether jobs may run as root without any isolation.
    raw_exec: false,
    // Kept from jobs: MHz of processor, MiB of memory, MiB of disk.
    reserved_cpu: 300,
    reserved_memory_mib: 256,
    reserved_disk_mib: 1024,
  },

  prometheus: {
    // What is dropped first: samples of this age, or the oldest above this size.
    retention: '15d',
    retention_size: '1GB',
    scrape_interval: '15s',
  },
}
