// Our own agent, from this checkout: `scripts/build` makes its package before any image.
{
  version: '*',
  license: 'Apache-2.0 OR MIT',
  homepage: '',
  summary: 'names a board, gives it its roles and configures what they need',
  sources: [{ type: 'file', path: 'out/packages/computatom-agent_{version}_{arch}.deb', sha256: {} }],
}
