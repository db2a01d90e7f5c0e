// Two datacenters, each with a server that runs jobs too. They see each other over Consul's WAN pool and as regions of
// Nomad.
local node(name, datacenter) = {
  name: name,
  datacenter: datacenter,
  roles: ['server', 'client'],
  memory_mib: 1024,
};

{
  description: 'two datacenters of one node each, joined over WAN',
  nodes: [node('home-1', 'home') + { roles+: ['monitor'] }, node('attic-1', 'attic')],
}
