//! What the firmware makes of a boot partition: its settings, and the kernel, device tree, overlays, initramfs and command
//! line that they come to.

use serde::Serialize;

use super::card::Card;
use super::config::{Config, State};
use super::models::Model;
use super::start::{Failure, Trace};

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// Number of the boot partition.
    pub partition: u8,
    /// What the kernel is told of the trial: `/proc/device-tree/chosen/bootloader/tryboot`.
    pub tryboot: bool,
    /// Name of the kernel on it.
    pub kernel: String,
    /// It is started in 64-bit mode.
    pub sixty_four: bool,
    /// Name of the device tree.
    pub device_tree: String,
    /// Overlays that are applied to it, in order.
    pub overlays: Vec<String>,
    /// Name of the initramfs; empty if there is none.
    pub initramfs: String,
    /// The command line, without what the firmware adds of its own.
    pub cmdline: String,
    /// The partition that `root=PARTUUID=` names.
    pub root: Option<u8>,
    /// Seconds until a kernel that does not answer is reset; 0 for never.
    pub watchdog: u32,
}

/// A boot partition with the settings that hold.
struct Slot<'a, C> {
    card: &'a C,
    model: &'static Model,
    partition: u8,
    config: Config,
    files: Vec<String>,
}

/// Selects from a partition by the settings in the file `settings`.
pub(super) fn select(
    card: &impl Card,
    model: &'static Model,
    partition: u8,
    settings: &str,
    tryboot: bool,
    trace: &mut Trace,
) -> Result<Selection, Failure> {
    let state = State {
        models: model.filters,
        tryboot,
        partition: Some(partition),
    };
    let text = card.read(partition, settings);
    if text.is_none() {
        trace.note("default settings", format!("partition {partition} has no {settings}"));
    }
    let config = Config::parse(&String::from_utf8_lossy(text.as_deref().unwrap_or_default()), &state);
    let slot = Slot {
        card,
        model,
        partition,
        config,
        files: card.files(partition),
    };
    let sixty_four = slot.sixty_four();
    let prefix = slot.prefix(sixty_four, trace);
    let kernel = slot.kernel(&prefix, sixty_four, trace)?;
    let device_tree = slot.device_tree(&prefix, trace)?;
    let overlays = slot.overlays(&prefix, trace);
    let initramfs = slot.initramfs(&prefix, &kernel, trace)?;
    let cmdline = slot.cmdline(&prefix, trace);
    let root = slot.root(&cmdline, trace);
    let watchdog = slot.config.get("kernel_watchdog_timeout");
    Ok(Selection {
        partition,
        tryboot,
        kernel,
        sixty_four,
        device_tree,
        overlays,
        initramfs,
        cmdline,
        root,
        watchdog: watchdog.and_then(|seconds| seconds.parse().ok()).unwrap_or(0),
    })
}

impl<C: Card> Slot<'_, C> {
    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.eq_ignore_ascii_case(path))
    }

    /// `arm_64bit`, else the mode of the kernel that is named, else the model's default.
    fn sixty_four(&self) -> bool {
        if self.model.kernels_64.is_empty() {
            return false;
        }
        if self.model.kernels_32.is_empty() {
            return true;
        }
        let named = self.config.get("kernel");
        let is = |names: &[&str]| named.is_some_and(|named| names.contains(&named));
        match self.config.get("arm_64bit") {
            Some(value) => value != "0",
            None if is(self.model.kernels_64) => true,
            None if is(self.model.kernels_32) => false,
            None => self.model.default_64,
        }
    }

    /// Kernels in the order they are looked for.
    fn kernels(&self, sixty_four: bool) -> Vec<&str> {
        let defaults = if sixty_four {
            self.model.kernels_64
        } else {
            self.model.kernels_32
        };
        self.config
            .get("kernel")
            .into_iter()
            .chain(defaults.iter().copied())
            .collect()
    }

    fn device_trees(&self) -> Vec<&str> {
        if let Some(name) = self.config.get("device_tree").filter(|name| !name.is_empty()) {
            return vec![name];
        }
        if self.config.flag("upstream_kernel") {
            vec![self.model.upstream, self.model.downstream]
        } else {
            vec![self.model.downstream]
        }
    }

    /// `os_prefix`, or `upstream/` for an upstream kernel; dropped where kernel and device tree are not found behind it.
    fn prefix(&self, sixty_four: bool, trace: &mut Trace) -> String {
        let default = if self.config.flag("upstream_kernel") {
            "upstream/"
        } else {
            ""
        };
        let prefix = self.config.get("os_prefix").unwrap_or(default);
        if prefix.is_empty() {
            return String::new();
        }
        let any = |names: Vec<&str>| names.iter().any(|name| self.has(&under(prefix, name)));
        if any(self.kernels(sixty_four)) && any(self.device_trees()) {
            trace.note(format!("files behind {prefix}"), "os_prefix, or upstream_kernel=1");
            prefix.to_owned()
        } else {
            trace.note(
                "no prefix",
                format!("kernel and device tree are not both behind {prefix}"),
            );
            String::new()
        }
    }

    fn kernel(&self, prefix: &str, sixty_four: bool, trace: &mut Trace) -> Result<String, Failure> {
        let bits = if sixty_four { 64 } else { 32 };
        let named = self.config.get("kernel");
        let candidates = self.kernels(sixty_four);
        let Some(found) = candidates.iter().find(|name| self.has(&under(prefix, name))) else {
            return Err(Failure(
                "dark".into(),
                format!(
                    "partition {} has no {} for a {}",
                    self.partition,
                    candidates.join(" and no "),
                    self.model.title
                ),
            ));
        };
        let why = match named {
            Some(named) if named == *found => format!("kernel= names it; {bits}-bit mode"),
            Some(named) => {
                format!("kernel={named} is not there, and the firmware falls back without a word; {bits}-bit mode")
            }
            None => format!("the firmware's own name for it in {bits}-bit mode"),
        };
        let found = under(prefix, found);
        trace.note(format!("kernel {found}"), why);
        Ok(found)
    }

    fn device_tree(&self, prefix: &str, trace: &mut Trace) -> Result<String, Failure> {
        let names = self.device_trees();
        let Some(found) = names.iter().find(|name| self.has(&under(prefix, name))) else {
            return Err(Failure(
                "dark".into(),
                format!(
                    "partition {} has no device tree for a {} ({})",
                    self.partition,
                    self.model.title,
                    names.join(", ")
                ),
            ));
        };
        let why = match () {
            () if self.config.get("device_tree").is_some() => "device_tree= names it",
            () if !self.config.flag("upstream_kernel") => "the vendor's name for it",
            () if *found == self.model.upstream => "Linux' own name for it, by upstream_kernel=1",
            () => "the vendor's name for it: Linux' own is not there",
        };
        let found = under(prefix, found);
        trace.note(format!("device tree {found}"), why);
        Ok(found)
    }

    /// Overlays are behind the prefix only where a README says that they are.
    fn overlays(&self, prefix: &str, trace: &mut Trace) -> Vec<String> {
        let folder = self.config.get("overlay_prefix").unwrap_or("overlays/");
        let own = format!("{prefix}{folder}");
        let folder = if self.has(&format!("{own}README")) {
            own
        } else {
            folder.to_owned()
        };
        let mut found = Vec::new();
        for setting in self.config.all("dtoverlay") {
            let name = setting.split([',', ':']).next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            let path = format!("{folder}{name}.dtbo");
            if self.has(&path) {
                trace.note(format!("overlay {path}"), format!("dtoverlay={setting}"));
                found.push(path);
            } else {
                trace.note(
                    format!("no overlay {name}"),
                    format!("dtoverlay={setting}, but there is no {path}"),
                );
            }
        }
        found
    }

    fn initramfs(&self, prefix: &str, kernel: &str, trace: &mut Trace) -> Result<String, Failure> {
        let (name, why) = match (self.config.initramfs(), self.config.flag("auto_initramfs")) {
            (Some(name), _) => (name.to_owned(), "the initramfs line names it"),
            (None, true) => {
                let base = kernel.rsplit('/').next().unwrap_or(kernel);
                let name = base
                    .strip_suffix(".img")
                    .unwrap_or(base)
                    .replacen("kernel", "initramfs", 1);
                if !self.has(&under(prefix, &name)) {
                    trace.note(
                        "no initramfs",
                        format!("auto_initramfs=1 looks for {name}, which is not there"),
                    );
                    return Ok(String::new());
                }
                (name, "auto_initramfs=1: the kernel's name with `initramfs` in it")
            }
            (None, false) => {
                trace.note("no initramfs", "no initramfs line and no auto_initramfs=1");
                return Ok(String::new());
            }
        };
        let path = under(prefix, &name);
        if !self.has(&path) {
            return Err(Failure(
                "dark".into(),
                format!(
                    "partition {} has no {path}, which its settings name as the initramfs",
                    self.partition
                ),
            ));
        }
        trace.note(format!("initramfs {path}"), why);
        Ok(path)
    }

    fn cmdline(&self, prefix: &str, trace: &mut Trace) -> String {
        let named = self.config.get("cmdline");
        let path = under(prefix, named.unwrap_or("cmdline.txt"));
        let Some(text) = self.card.read(self.partition, &path) else {
            trace.note(
                "an empty command line",
                format!("partition {} has no {path}", self.partition),
            );
            return String::new();
        };
        let why = if named.is_some() {
            "cmdline= names it"
        } else {
            "its default name"
        };
        trace.note(format!("command line of {path}"), why);
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().next().unwrap_or_default().trim().to_owned()
    }

    fn root(&self, cmdline: &str, trace: &mut Trace) -> Option<u8> {
        let root = cmdline.split_whitespace().find_map(|word| word.strip_prefix("root="))?;
        let partition = root.strip_prefix("PARTUUID=").and_then(|id| self.card.partition_of(id));
        match partition {
            Some(number) => trace.note(format!("root on partition {number}"), format!("root={root}")),
            None => trace.note("no root that is on this card", format!("root={root}")),
        }
        partition
    }
}

/// A path behind a prefix; one that begins with `/` stands for itself.
fn under(prefix: &str, name: &str) -> String {
    match name.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("{prefix}{name}"),
    }
}
