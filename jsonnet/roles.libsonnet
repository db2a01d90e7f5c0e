// What an image has for each role that its boards can have: a definition begins with one or more of these,
//
//     computatom.image(computatom.server + computatom.client + { name: 'attic', … })
//
// Which of them a board takes is decided when it boots, by the site settings; never one that its image lacks.

// As Debian packages it: with the rest of the system it gets its security updates.
local debian = { version: '*', source: 'debian' };

// Every board of a cluster has Consul, by which they find each other, and its own numbers for Prometheus.
local member = {
  components+: {
    consul: {},
    'prometheus-node-exporter': debian,
  },
};

{
  debian: debian,

  // Boards that are no more than seen.
  member: member,

  // The servers of Consul and Nomad.
  server: member + {
    roles+: ['server'],
    components+: { nomad: {} },
  },

  // Boards that run jobs.
  client: member + {
    roles+: ['client'],
    components+: {
      nomad: {},
      // Jobs with networks of their own (`network { mode = "bridge" }`).
      'cni-plugins': {},
    },
    // Nomad's docker driver needs the daemon; jobs that are plain programs do not.
    debian+: { packages+: ['docker.io'] },
  },

  // Prometheus, which finds the whole cluster in Consul.
  monitor: member + {
    roles+: ['monitor'],
    components+: { prometheus: debian },
  },
}
