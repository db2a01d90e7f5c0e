// What programs built from Go modules have in common.
{
  // A module built here. `binaries` are its programs by name, each with its package inside the module: `{ restic:
  // './cmd/restic' }`; `given` says what is not as usual.
  module(path, binaries, given={}):: {
    type: 'go-module',
    module: path,
    binaries: binaries,
    tags: [],
    // `-X` sets a string: what the program says its version is.
    ldflags: [],
    // With cgo it is linked to the C library, without it is static.
    cgo: false,
    drop_replace: [],
    replace: {},
    no_sum_db: [],
  } + given,

  // What lintian finds odd about static Go programs.
  lintian_overrides(documentation, license=''):: [
    { tag: 'no-manual-page', reason: 'upstream documents it at %s and in --help' % documentation },
    { tag: 'statically-linked-binary', reason: 'pure Go without cgo, as upstream ships it' },
  ] + (if license == 'Apache-2.0' then $.apache_overrides else []),

  // The licence wants its text beside the program, and machines that leave out documents may lack Debian's copy.
  apache_overrides:: [
    { tag: tag, reason: 'the text is here for systems without /usr/share/common-licenses' }
    for tag in ['copyright-file-contains-full-apache-2-license', 'copyright-not-using-common-license-for-apache2']
  ],
}
