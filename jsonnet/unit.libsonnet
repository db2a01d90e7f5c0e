// systemd units as objects: `{ Service: { ExecStart: '…' } }`. A list gives a line for each of its values, null none.
local lines(section) = std.flattenArrays([
  local value = section[key];
  [key + '=' + one for one in if value == null then [] else if std.isArray(value) then value else [value]]
  for key in std.objectFields(section)
]);

{
  // The text of a unit.
  text(sections):: std.join('\n', [
    std.lines(['[%s]' % name] + lines(sections[name]))
    for name in ['Unit', 'Service', 'Install']
    if std.objectHas(sections, name)
  ]),

  // What a daemon does without that listens, talks and writes to its own folders: systemd.exec(5).
  sandbox:: {
    CapabilityBoundingSet: '',
    LockPersonality: 'yes',
    MemoryDenyWriteExecute: 'yes',
    NoNewPrivileges: 'yes',
    PrivateDevices: 'yes',
    PrivateMounts: 'yes',
    PrivateTmp: 'yes',
    ProtectClock: 'yes',
    ProtectControlGroups: 'yes',
    ProtectHome: 'yes',
    ProtectHostname: 'yes',
    ProtectKernelLogs: 'yes',
    ProtectKernelModules: 'yes',
    ProtectKernelTunables: 'yes',
    ProtectProc: 'invisible',
    ProtectSystem: 'strict',
    RemoveIPC: 'yes',
    RestrictAddressFamilies: 'AF_INET AF_INET6 AF_NETLINK AF_UNIX',
    RestrictNamespaces: 'yes',
    RestrictRealtime: 'yes',
    RestrictSUIDSGID: 'yes',
    SystemCallArchitectures: 'native',
    SystemCallErrorNumber: 'EPERM',
    SystemCallFilter: ['@system-service', '~@privileged @resources'],
    UMask: '0077',
  },
}
