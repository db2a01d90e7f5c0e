//! `setcap` and `getcap`: file capabilities as the kernel stores them.

use super::arguments::Arguments;
use crate::shell::process::{Command, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("getcap", getcap), ("setcap", setcap)];

const ATTRIBUTE: &str = "security.capability";

/// `VFS_CAP_REVISION_2` and the flag for "effective" (linux/capability.h).
const REVISION: u32 = 0x0200_0000;
const EFFECTIVE: u32 = 1;

/// Capabilities in the order of their numbers (linux/capability.h).
const NAMES: &[&str] = &[
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// Sets of capabilities, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sets {
    effective: u64,
    inheritable: u64,
    permitted: u64,
}

impl Sets {
    /// Reads the notation of cap_from_text(3): `cap_a,cap_b=ep cap_c+i`.
    fn parse(text: &str) -> Option<Self> {
        let mut sets = Self::default();
        for clause in text.split_whitespace() {
            let (names, mut actions) = clause.split_at(clause.find(['=', '+', '-'])?);
            let mask = match names {
                "" | "all" => (1 << NAMES.len()) - 1,
                names => names
                    .split(',')
                    .try_fold(0, |mask, name| Some(mask | 1 << number(name)?))?,
            };
            while let Some(action) = actions.chars().next() {
                let length = actions[1..].find(['=', '+', '-']).unwrap_or(actions.len() - 1);
                let flags = &actions[1..=length];
                if action == '=' {
                    sets.update(mask, "eip", false)?;
                }
                sets.update(mask, flags, action != '-')?;
                actions = &actions[1 + length..];
            }
        }
        Some(sets)
    }

    fn update(&mut self, mask: u64, flags: &str, raise: bool) -> Option<()> {
        for flag in flags.bytes() {
            let set = match flag {
                b'e' => &mut self.effective,
                b'i' => &mut self.inheritable,
                b'p' => &mut self.permitted,
                _ => return None,
            };
            *set = if raise { *set | mask } else { *set & !mask };
        }
        Some(())
    }

    /// The bytes of the extended attribute, revision 2. The kernel keeps one effective bit for all, so the effective
    /// set must be none or all of the others.
    fn encode(self) -> Option<Vec<u8>> {
        let any = self.permitted | self.inheritable;
        if self.effective != 0 && self.effective != any {
            return None;
        }
        let flags = if self.effective == 0 { 0 } else { EFFECTIVE };
        let mut bytes = (REVISION | flags).to_le_bytes().to_vec();
        for shift in [0, 32] {
            for set in [self.permitted, self.inheritable] {
                let word = u32::try_from(set >> shift & 0xffff_ffff).expect("masked to 32 bits");
                bytes.extend(word.to_le_bytes());
            }
        }
        Some(bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)));
        let permitted = word(4)? | word(12)? << 32;
        let inheritable = word(8)? | word(16)? << 32;
        let effective = if word(0)? & u64::from(EFFECTIVE) == 0 {
            0
        } else {
            permitted | inheritable
        };
        Some(Self {
            effective,
            inheritable,
            permitted,
        })
    }

    /// The notation that `getcap` prints, for sets where all capabilities have the same flags.
    fn show(self) -> Option<String> {
        let all = self.permitted | self.inheritable;
        let uniform = |set: u64| set == 0 || set == all;
        if !uniform(self.permitted) || !uniform(self.inheritable) {
            return None;
        }
        let held = NAMES.iter().enumerate().filter(|(number, _)| all >> number & 1 == 1);
        let names: Vec<&str> = held.map(|(_, &name)| name).collect();
        let mut flags = String::new();
        for (set, letter) in [(self.effective, 'e'), (self.inheritable, 'i'), (self.permitted, 'p')] {
            if set != 0 {
                flags.push(letter);
            }
        }
        Some(format!("{}={flags}", names.join(",")))
    }
}

fn number(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    NAMES.iter().position(|known| *known == name)
}

fn setcap(process: &mut Process<'_>) -> Outcome {
    let remove = process.args.iter().any(|arg| arg == "-r");
    process.args.retain(|arg| arg != "-r");
    let args = Arguments::of(process, &["-q"])?;
    let step = if remove { 1 } else { 2 };
    if args.operands.is_empty() || args.operands.len() % step != 0 {
        return Ok(process.fail("capabilities and file come in pairs"));
    }
    for pair in args.operands.chunks(step) {
        let name = &pair[step - 1];
        let path = process.path(name);
        let id = match process.system.tree.lookup(&path, crate::tree::Follow::Yes) {
            Ok(id) if process.system.tree.inode(id).is_file() => id,
            _ => return Ok(process.fail(&format!("failed to set capabilities on file '{name}'"))),
        };
        let xattrs = &mut process.system.tree.inode_mut(id).xattrs;
        if remove {
            if xattrs.remove(ATTRIBUTE).is_none() {
                return Ok(process.fail(&format!("failed to remove capabilities of '{name}': No data available")));
            }
            continue;
        }
        match Sets::parse(&pair[0]).and_then(Sets::encode) {
            Some(bytes) => {
                xattrs.insert(ATTRIBUTE.to_owned(), bytes);
            }
            None => return Ok(process.fail(&format!("fatal error: Invalid argument '{}'", pair[0]))),
        }
    }
    Ok(0)
}

fn getcap(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(process, &["-v"])?;
    for name in &args.operands {
        let path = process.path(name);
        let Ok(inode) = process.system.tree.lstat(&path) else {
            process.fail(&format!("{name}: No such file or directory"));
            continue;
        };
        let Some(bytes) = inode.xattrs.get(ATTRIBUTE) else {
            if args.has("-v") {
                process.say(name);
            }
            continue;
        };
        let shown = Sets::decode(bytes).and_then(Sets::show);
        let shown = shown.ok_or_else(|| process.unsupported(format!("mixed capabilities of {name}")))?;
        process.say(&format!("{name} {shown}"));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_the_real_setcap_writes_them() {
        // `setcap cap_net_raw+ep f; getfattr -e hex -n security.capability f` on Debian 12.
        let sets = Sets::parse("cap_net_raw+ep").unwrap();
        assert_eq!(
            hex::encode(sets.encode().unwrap()),
            "0100000200200000000000000000000000000000"
        );
        let bpf = Sets::parse("cap_dac_override,cap_bpf,cap_net_admin=ep").unwrap();
        assert_eq!(
            hex::encode(bpf.encode().unwrap()),
            "0100000202100000000000008000000000000000"
        );
        assert_eq!(Sets::decode(&bpf.encode().unwrap()), Some(bpf));
        assert_eq!(bpf.show().unwrap(), "cap_dac_override,cap_net_admin,cap_bpf=ep");
        assert_eq!(Sets::parse("cap_nonsense=ep"), None);
    }
}
