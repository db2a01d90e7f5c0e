// sha256 of the Prometheus project's Linux archives, by repository, version and Debian architecture, as recorded by
// boxcutter/boxcutter-chef-cookbooks (a9ce46c) and boxcutter/oci (3110a52). What is not here comes from the publisher's
// `sha256sums.txt`, by way of `pkgbuilder lock`.
{
  prometheus: {
    '3.0.0': {
      armhf: 'e97e9c9bbc86e2972de9f5db0ac1036e950784316cc0ba70a6fc0b3852cccef5',
    },
    '3.8.1': {
      amd64: 'a09972ced892cd298e353eb9559f1a90f499da3fb4ff0845be352fc138780ee7',
      arm64: '8d95804e692bba65a48d32ecdfb3d4acd8e1560d440c8cc08f48167cb838ec4b',
    },
  },
  node_exporter: {
    '1.8.2': {
      armhf: '0fb88e682d055a70a8597504874b0a76d1df6a8a511f3d7cb1d48c7db84a2d2a',
    },
    '1.10.2': {
      amd64: 'c46e5b6f53948477ff3a19d97c58307394a29fe64a01905646f026ddc32cb65b',
      arm64: 'de69ec8341c8068b7c8e4cfe3eb85065d24d984a3b33007f575d307d13eb89a6',
    },
  },
}
