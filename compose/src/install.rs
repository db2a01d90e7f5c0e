//! An installation from the first directory to the last trigger.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use anyhow::{Context as _, Result, bail};
use debversion::Version;

use crate::configurators;
use crate::deb::{Control, Package};
use crate::debconf::load_templates;
use crate::dpkg::database::{self, Database};
use crate::dpkg::status::State;
use crate::dpkg::triggers::Triggers;
use crate::generators;
use crate::order::{self, Step};
use crate::path_filter::{PathFilters, PathRule};
use crate::shell::{self, process::Origin};
use crate::system::{Note, System};
use crate::tree::Tree;
use crate::unpack::{Files, Unpacker};

/// Told to scripts where no dpkg is among the packages: the version of Debian 13 that the rules here are taken from.
const DPKG_VERSION: &str = "1.22.22";

/// How much of a failing script's output an error quotes, in bytes.
const TAIL: usize = 600;

/// What a composition depends on beside its packages.
#[derive(Clone, Debug)]
pub struct Options {
    /// Debian's name of the architecture (`arm64`).
    pub arch: String,
    /// The tree's clock, seconds since 1970: what scripts write bears this time, and nothing a later one.
    pub epoch: i64,
    /// dpkg's `path-exclude` and `path-include`: files listed but not unpacked.
    pub path_rules: Vec<PathRule>,
    /// Names of packages that came only as dependencies (`apt-mark showauto`).
    pub auto_installed: Vec<String>,
    /// Go on behind a script that failed or could not be interpreted, to see all of them at once; the result
    /// is then to be looked at, not to be used.
    pub keep_going: bool,
}

/// What is being done, for a progress bar.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The package concerned; empty for triggers.
    pub package: &'a str,
    /// Steps done so far.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

/// A composed root file system.
#[derive(Debug)]
pub struct Composed {
    /// The root file system.
    pub tree: Tree,
    /// What scripts asked for and was knowingly left out.
    pub notes: Vec<Note>,
    /// Scripts that failed, if the options said to keep going.
    pub failures: Vec<Failure>,
}

/// A script that failed or could not be interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its package.
    pub package: String,
    /// What happened: a sentence that names package and script, and where it is known line and command.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Installs `packages` into an empty tree: unpacked, configured, triggers processed, everything that a compiled
/// helper would have generated made natively.
///
/// `progress` is told before each step, and ends it all by an error. Errors name the package, and for scripts also
/// script, line and command ([`shell::Halted`]).
pub fn compose(
    packages: &[Package],
    options: &Options,
    progress: &mut dyn FnMut(Progress<'_>) -> Result<()>,
) -> Result<Composed> {
    check(packages, options)?;
    let mut installation = Installation::new(packages, options)?;
    let plan = order::plan(packages);
    for (package, relation) in &plan.unmet {
        installation.system.notes.push(Note {
            package: package.clone(),
            script: "control".to_owned(),
            text: format!("depends on {relation}, which is not among the packages"),
        });
    }
    for (done, step) in plan.steps.iter().enumerate() {
        let package = match step {
            Step::Extract(at) | Step::Unpack(at) | Step::Configure(at) => packages[*at].name(),
            Step::ProcessTriggers => "",
        };
        progress(Progress {
            package,
            done,
            total: plan.steps.len(),
        })?;
        installation.step(*step)?;
    }
    installation.finish(options)
}

fn check(packages: &[Package], options: &Options) -> Result<()> {
    let mut names = HashMap::new();
    for package in packages {
        let control = &package.control;
        if let Some(other) = names.insert(&control.name, &control.version) {
            bail!(
                "package {} is there twice, as {other} and {}: give one of them",
                control.name,
                control.version
            );
        }
        if control.architecture != "all" && control.architecture != options.arch {
            bail!(
                "package {} is for {}, the tree is for {}: give the package of that architecture",
                control.name,
                control.architecture,
                options.arch
            );
        }
    }
    Ok(())
}

struct Installation<'a> {
    packages: &'a [Package],
    at: HashMap<&'a str, usize>,
    system: System,
    files: Files,
    filters: PathFilters,
    unpacked: HashMap<String, Control>,
    database: Database,
    triggers: Triggers,
    dpkg_version: String,
    keep_going: bool,
    failures: Vec<Failure>,
}

impl<'a> Installation<'a> {
    fn new(packages: &'a [Package], options: &Options) -> Result<Self> {
        let mut system = System::new(&options.arch, options.epoch);
        if let Some(kernel) = kernel(packages) {
            system.kernel = kernel;
        }
        let dpkg = packages.iter().find(|package| package.name() == "dpkg");
        Ok(Self {
            packages,
            at: packages
                .iter()
                .enumerate()
                .map(|(at, package)| (package.name(), at))
                .collect(),
            system,
            files: Files::default(),
            filters: PathFilters::new(&options.path_rules)?,
            unpacked: HashMap::new(),
            database: Database::default(),
            triggers: Triggers::default(),
            dpkg_version: dpkg.map_or(DPKG_VERSION.to_owned(), |dpkg| {
                dpkg.control.version.upstream_version.clone()
            }),
            keep_going: options.keep_going,
            failures: Vec::new(),
        })
    }

    fn step(&mut self, step: Step) -> Result<()> {
        let packages = self.packages;
        match step {
            Step::Extract(at) => self.extract(&packages[at]),
            Step::Unpack(at) => self.unpack(&packages[at]),
            Step::Configure(at) => self.configure(&packages[at]),
            Step::ProcessTriggers => self.process_triggers(),
        }
    }

    fn extract(&mut self, package: &Package) -> Result<()> {
        // Owners are recorded when dpkg unpacks it, in a moment.
        let mut files = Files::default();
        self.put(package, &mut files)?;
        Ok(())
    }

    fn put(&mut self, package: &Package, files: &mut Files) -> Result<Vec<String>> {
        let mut unpacker = Unpacker {
            system: &mut self.system,
            files,
            filters: &self.filters,
            unpacked: &self.unpacked,
        };
        unpacker.unpack(package)
    }

    fn unpack(&mut self, package: &Package) -> Result<()> {
        if self.unpacked.is_empty() {
            self.database = Database::create(&mut self.system.tree, &self.system.arch.clone())?;
        }
        let control = &package.control;
        self.database.set(package, State::HalfInstalled);
        if let Some(templates) = control.text("templates") {
            load_templates(&mut self.system, &control.name, &templates);
        }
        self.run(package, "preinst", &["install"])?;
        let mut files = std::mem::take(&mut self.files);
        let paths = self.put(package, &mut files);
        self.files = files;
        for path in paths? {
            self.triggers.touch(&path);
        }
        self.unpacked.insert(control.name.clone(), control.clone());
        database::store_info(&mut self.system.tree, control, &self.files)?;
        database::store_digests(&mut self.system.tree, package)?;
        for name in self.files.take_shortened() {
            if let Some(control) = self.unpacked.get(&name) {
                database::store_list(&mut self.system.tree, control, &self.files)?;
            }
        }
        self.triggers.add_interests(control)?;
        self.triggers.activate_own(control)?;
        self.triggers.store(&mut self.system.tree)?;
        self.database.set(package, State::Unpacked);
        Ok(())
    }

    fn configure(&mut self, package: &Package) -> Result<()> {
        self.database.set(package, State::HalfConfigured);
        self.triggers.activate_own(&package.control)?;
        self.run(package, "config", &["configure", ""])?;
        self.run(package, "postinst", &["configure", ""])?;
        self.database.set(package, State::Installed);
        self.triggers.set_ready(package.name());
        Ok(())
    }

    fn process_triggers(&mut self) -> Result<()> {
        while let Some((name, triggers)) = self.triggers.take_next() {
            let Some(&at) = self.at.get(name.as_str()) else {
                continue;
            };
            let package = &self.packages[at];
            self.database.set(package, State::HalfConfigured);
            self.run(package, "postinst", &["triggered", &triggers.join(" ")])?;
            self.database.set(package, State::Installed);
        }
        Ok(())
    }

    /// Interprets a maintainer script, if the package has it; its triggers are noted.
    fn run(&mut self, package: &Package, script: &str, args: &[&str]) -> Result<()> {
        let Some(text) = package.control.text(script) else {
            return Ok(());
        };
        self.database.store(&mut self.system.tree)?;
        match self.interpret(package, script, &text, args) {
            Err(error) if self.keep_going => self.failures.push(Failure {
                package: package.name().to_owned(),
                text: format!("{error:#}"),
            }),
            result => result?,
        }
        for name in std::mem::take(&mut self.system.triggers).into_keys() {
            self.triggers.activate(&name);
        }
        Ok(())
    }

    fn interpret(&mut self, package: &Package, script: &str, text: &str, args: &[&str]) -> Result<()> {
        let name = package.name();
        let text = &configurators::adapted(&mut self.system, name, script, text);
        let shebang = text.lines().next().unwrap_or_default();
        let interpreter = shebang.strip_prefix("#!").unwrap_or_default();
        let program = interpreter.split_whitespace().next().unwrap_or_default();
        if !["/bin/sh", "/bin/dash", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash"].contains(&program) {
            bail!("package {name}: its {script} is not a shell script (`{shebang}`)");
        }
        let origin = Origin {
            package: name.to_owned(),
            script: script.to_owned(),
        };
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let env = self.environment(package, script);
        let finished = shell::run_script(&mut self.system, origin, text, &args, &env)?;
        if finished.status != 0 {
            bail!(
                "package {name}: its {script} {} ended with status {}: {}",
                args.join(" "),
                finished.status,
                tail(&finished.stderr, &finished.stdout)
            );
        }
        Ok(())
    }

    /// What dpkg puts into the environment of maintainer scripts (dpkg(1), "internal environment").
    fn environment(&self, package: &Package, script: &str) -> BTreeMap<String, String> {
        let arch = match package.control.architecture.as_str() {
            // dpkg names the native architecture for packages of all.
            "all" => &self.system.arch,
            arch => arch,
        };
        [
            ("PATH", shell::PATH),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
            ("DPKG_ADMINDIR", "/var/lib/dpkg"),
            ("DPKG_FORCE", "security-mac,downgrade"),
            ("DPKG_FRONTEND_LOCKED", "true"),
            ("DPKG_MAINTSCRIPT_ARCH", arch),
            ("DPKG_MAINTSCRIPT_DEBUG", "0"),
            ("DPKG_MAINTSCRIPT_NAME", script),
            ("DPKG_MAINTSCRIPT_PACKAGE", package.name()),
            ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1"),
            ("DPKG_ROOT", ""),
            ("DPKG_RUNNING_VERSION", &self.dpkg_version),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    fn finish(mut self, options: &Options) -> Result<Composed> {
        self.database.store(&mut self.system.tree)?;
        let mut automatic: Vec<&str> = Vec::new();
        for package in self.packages {
            if options.auto_installed.iter().any(|name| name == package.name()) {
                automatic.push(package.name());
            }
        }
        automatic.sort_unstable();
        database::store_extended_states(&mut self.system.tree, &options.arch, &automatic)
            .context("writing apt's extended states")?;
        generators::run_all(&mut self.system)?;
        generators::note_rest(&mut self.system);
        Ok(Composed {
            tree: self.system.tree,
            notes: self.system.notes,
            failures: self.failures,
        })
    }
}

/// The newest kernel among the packages, by the directory of its modules.
fn kernel(packages: &[Package]) -> Option<String> {
    let paths = packages
        .iter()
        .flat_map(|package| &package.entries)
        .map(|entry| &entry.path);
    let releases = paths.filter_map(|path| {
        let release = path
            .strip_prefix("/usr")
            .unwrap_or(path)
            .strip_prefix("/lib/modules/")?;
        (!release.contains('/')).then_some(release)
    });
    let newest = releases.max_by_key(|release| release.parse::<Version>().ok());
    newest.map(str::to_owned)
}

/// The end of what a script said, in one line.
fn tail(stderr: &[u8], stdout: &[u8]) -> String {
    let said = if stderr.is_empty() { stdout } else { stderr };
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(TAIL)..]);
    let said = said.trim();
    if said.is_empty() {
        return "it said nothing".to_owned();
    }
    said.lines().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deb::tests::package;

    fn options() -> Options {
        Options {
            arch: "arm64".to_owned(),
            epoch: 1_000,
            path_rules: Vec::new(),
            auto_installed: vec!["lib".to_owned()],
            keep_going: false,
        }
    }

    fn composed(packages: &[Package]) -> Result<Composed> {
        compose(packages, &options(), &mut |_| Ok(()))
    }

    #[test]
    fn scripts_run_in_dpkg_order_with_its_environment() {
        let say = |what: &str| {
            format!("#!/bin/sh\nset -e\necho \"{what} $DPKG_MAINTSCRIPT_PACKAGE $DPKG_MAINTSCRIPT_ARCH $*\" >> /log\n")
        };
        let (preinst, config, postinst) = (say("preinst"), say("config"), say("postinst"));
        let scripts = [
            ("./preinst", preinst.as_str()),
            ("./config", config.as_str()),
            ("./postinst", postinst.as_str()),
            ("./triggers", "interest /usr/share/x\n"),
        ];
        let app = package("app", "Depends: lib\n", &scripts, &[("./usr/share/app", "1")]);
        let lib = package(
            "lib",
            "",
            &[("./postinst", postinst.as_str())],
            &[("./usr/lib/lib", "2")],
        );
        let base = package("base", "Essential: yes\n", &scripts[3..], &[("./usr/", "")]);
        let late = package("late", "Depends: app\n", &[], &[("./usr/share/x/late", "3")]);
        let composed = composed(&[app, lib, base, late]).unwrap();
        let tree = &composed.tree;
        assert_eq!(
            tree.read_text("/log").unwrap(),
            "preinst app arm64 install\npostinst lib arm64 configure \nconfig app arm64 configure \n\
             postinst app arm64 configure \n"
        );
        let status = tree.read_text("/var/lib/dpkg/status").unwrap();
        assert_eq!(status.matches("Status: install ok installed").count(), 4);
        assert_eq!(
            tree.read_text("/var/lib/dpkg/info/late.list").unwrap(),
            "/usr/share/x/late\n"
        );
        assert_eq!(
            tree.read_text("/var/lib/apt/extended_states").unwrap(),
            "Package: lib\nArchitecture: arm64\nAuto-Installed: 1\n\n"
        );
        assert_eq!(composed.notes, []);
    }

    #[test]
    fn triggers_reach_configured_packages() {
        let postinst = "#!/bin/sh\necho \"$@\" >> /log\n";
        let members = [
            ("./postinst", postinst),
            ("./triggers", "interest-noawait /usr/share/x\ninterest named\n"),
        ];
        let base = package("base", "Essential: yes\n", &members, &[("./usr/", "")]);
        let fire = "#!/bin/sh\ndpkg-trigger --no-await named\n";
        let late = package("late", "", &[("./postinst", fire)], &[("./usr/share/x/late", "3")]);
        let composed = composed(&[base, late]).unwrap();
        assert_eq!(
            composed.tree.read_text("/log").unwrap(),
            "configure \ntriggered named /usr/share/x\n"
        );
    }

    #[test]
    fn what_goes_wrong_names_package_script_and_cause() {
        let fails = package(
            "app",
            "",
            &[("./postinst", "#!/bin/sh\necho oh dear >&2\nexit 3\n")],
            &[],
        );
        assert_eq!(
            composed(&[fails]).unwrap_err().to_string(),
            "package app: its postinst configure  ended with status 3: oh dear"
        );
        let unknown = package("app", "", &[("./preinst", "#!/bin/sh\n\nfrobnicate || true\n")], &[]);
        let error = composed(&[unknown]).unwrap_err().to_string();
        assert!(error.contains("package app, preinst, line 3: `frobnicate`"), "{error}");
        let python = package("app", "", &[("./postinst", "#!/usr/bin/python3\n")], &[]);
        assert!(
            composed(&[python])
                .unwrap_err()
                .to_string()
                .contains("is not a shell script")
        );
        let twice = [package("app", "", &[], &[]), package("app", "", &[], &[])];
        assert!(composed(&twice).unwrap_err().to_string().contains("is there twice"));
        let lonely = package("app", "Depends: gone\n", &[], &[]);
        assert_eq!(composed(&[lonely]).unwrap().notes.len(), 1);
    }

    #[test]
    fn the_same_packages_give_the_same_tree_in_any_order() {
        let one = package(
            "one",
            "Depends: two\n",
            &[("./postinst", "#!/bin/sh\necho 1 >> /log\n")],
            &[],
        );
        let two = package("two", "", &[("./postinst", "#!/bin/sh\necho 2 >> /log\n")], &[]);
        let tar = |packages: &[Package]| {
            let mut bytes = Vec::new();
            composed(packages).unwrap().tree.write_tar(&mut bytes).unwrap();
            bytes
        };
        assert!(tar(&[one.clone(), two.clone()]) == tar(&[two, one]));
    }
}
