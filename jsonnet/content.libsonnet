// The files of a package, in nfpm's vocabulary.
local owned(mode, owner='root', group='root') = { mode: mode } +
                                               (if owner == 'root' then {} else { owner: owner }) +
                                               (if group == 'root' then {} else { group: group });

{
  // A file of the upstream archive or build.
  program(src, dst):: { src: src, dst: dst, file_info: { mode: '0755' } },
  // Any other file of it.
  file(src, dst, mode='0644'):: { src: src, dst: dst, file_info: { mode: mode } },
  // A file whose text is given here.
  text(dst, text, mode='0644', owner='root', group='root'):: {
    text: text,
    dst: dst,
    file_info: owned(mode, owner, group),
  },
  // A file that its owner may change: dpkg asks before it replaces it.
  config(dst, text, mode='0644', owner='root', group='root'):: self.text(dst, text, mode, owner, group) { type: 'config' },
  // An empty folder.
  dir(dst, mode='0755', owner='root', group='root'):: { dst: dst, type: 'dir', file_info: owned(mode, owner, group) },
  // A symbolic link.
  link(dst, target):: { src: target, dst: dst, type: 'symlink' },
}
