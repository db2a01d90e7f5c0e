// A node in a container: the servers of Consul and Nomad and Prometheus, for a machine that is no member of the cluster
// but could give it a third server. systemd runs in it as on a board, DATA is a volume at /var. Name and network are the
// container's:
//
//     podman load --input out/container-oci-amd64.oci.tar
//     podman run --detach --name core-1 --hostname core-1 --network host --volume core-1:/var localhost/computatom/container
local computatom = import 'computatom.libsonnet';

computatom.image(computatom.server + computatom.monitor + {
  name: 'container',
  description: 'Nomad and Consul servers and Prometheus in a container',
  targets: ['oci-amd64', 'oci-arm64'],
})
