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

  // Completions of a program that completes itself as posener/complete has it (HashiCorp's): what its
  // `-autocomplete-install` would write into people's own files.
  completions(command, program='/usr/bin/' + command):: [
    self.text('/usr/share/bash-completion/completions/' + command, 'complete -C %s %s\n' % [program, command]),
    self.text('/usr/share/zsh/vendor-completions/_' + command, |||
      #compdef %(command)s
      autoload -U +X bashcompinit && bashcompinit
      complete -o nospace -C %(program)s %(command)s
    ||| % { command: command, program: program }),
    self.text('/usr/share/fish/vendor_completions.d/%s.fish' % command, |||
      function __complete_%(word)s
          set -lx COMP_LINE (commandline -cp)
          test -z (commandline -ct)
          and set COMP_LINE "$COMP_LINE "
          %(program)s
      end
      complete -f -c %(command)s -a "(__complete_%(word)s)"
    ||| % { command: command, word: std.strReplace(command, '-', '_'), program: program }),
  ],

  // Completions of a program that answers `--completion-bash WORD...` by one word on each line, as alecthomas/kingpin has
  // it (Prometheus' tools): what its `--completion-script-bash` and `-zsh` would print.
  kingpin_completions(command):: local word = std.strReplace(command, '-', '_'); local bash = |||
    _%(word)s_complete() {
        local IFS=$'\n'
        COMPREPLY=($(compgen -W "$("$1" --completion-bash "${COMP_WORDS[@]:1:$COMP_CWORD}")" -- "$2"))
    }
    complete -o default -F _%(word)s_complete %(command)s
  ||| % { command: command, word: word }; [
    self.text('/usr/share/bash-completion/completions/' + command, bash),
    self.text(
      '/usr/share/zsh/vendor-completions/_' + command,
      '#compdef %s\nautoload -U +X bashcompinit && bashcompinit\n%s' % [command, bash]
    ),
    self.text('/usr/share/fish/vendor_completions.d/%s.fish' % command, |||
      complete -f -c %(command)s -a "(%(command)s --completion-bash (commandline -opc)[2..] (commandline -ct))"
    ||| % { command: command }),
  ],

  // Completions of a program that prints its own, as spf13/cobra has it: it is asked when they are first needed, in its
  // documentation's words.
  cobra_completions(command):: [
    self.text('/usr/share/bash-completion/completions/' + command, 'source <(%s completion bash)\n' % command),
    // What is sourced puts a function of the same name in the place of this file.
    self.text('/usr/share/zsh/vendor-completions/_' + command, |||
      #compdef %(command)s
      source <(%(command)s completion zsh)
      _%(command)s "$@"
    ||| % { command: command }),
    self.text('/usr/share/fish/vendor_completions.d/%s.fish' % command, '%s completion fish | source\n' % command),
  ],
}
