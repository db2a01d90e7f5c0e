// The files of a package, in nfpm's vocabulary.
{
  // A file of the upstream archive or build.
  program(src, dst):: { src: src, dst: dst, type: 'file', mode: '0755' },
  // Any other file of it.
  file(src, dst, mode='0644'):: { src: src, dst: dst, type: 'file', mode: mode },
  // A file whose text is given here.
  text(dst, text, mode='0644'):: { text: text, dst: dst, type: 'file', mode: mode },
  // A file that its owner may change: dpkg asks before it replaces it.
  config(dst, text, mode='0644'):: { text: text, dst: dst, type: 'config', mode: mode },
  // An empty folder.
  dir(dst, mode='0755'):: { dst: dst, type: 'dir', mode: mode },
  // A symbolic link.
  link(dst, target):: { src: target, dst: dst, type: 'symlink', mode: '0777' },
}
