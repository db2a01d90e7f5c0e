// One machine that is everything, as a single board at home is.
{
  description: 'one node: server, client and monitor',
  nodes: [{ name: 'core-1', roles: ['server', 'client', 'monitor'], memory_mib: 1024, cpus: 2 }],
}
