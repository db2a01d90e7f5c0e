// A cluster as it is meant to be: three servers that may lose one, two boards for jobs, one that watches.
// For 2 processors and 8 GB.
local servers = [{ name: 'core-%d' % i, roles: ['server'], memory_mib: 640 } for i in [1, 2, 3]];
local clients = [{ name: 'worker-%d' % i, roles: ['client'], memory_mib: 1024 } for i in [1, 2]];

{
  description: 'three servers, two clients and a monitor',
  nodes: servers + clients + [{ name: 'watch-1', roles: ['monitor'], memory_mib: 640 }],
}
