//! The command line of the older tool (`-arches`, `-packages`, `-config`, Go's flag syntax), translated to ours.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use zeroize::Zeroize;

use super::configuration::{self, Json};
use crate::definition::nearest;
use crate::package::configuration as packages;
use crate::package::configuration::{MEMBERS, Member, Settings};
use crate::reporter::Reporter;
use crate::{atomic, bail_input, xdg};

/// The older tool's flags.
const FLAGS: [&str; 3] = ["arches", "packages", "config"];

/// `-arches` where it is not given, as the older tool had it.
const DEFAULT_ARCHES: &str = "all,arm64,amd64,arm,armv6";

/// The older tool's names of architectures, and Debian's; `all` is `Architecture: all`, packages without programs.
const ARCHES: [(&str, &str); 8] = [
    ("all", "all"),
    ("amd64", "amd64"),
    ("arm64", "arm64"),
    ("arm", "armhf"),
    ("armv7", "armhf"),
    ("armhf", "armhf"),
    ("armv6", "armel"),
    ("armel", "armel"),
];

/// Packages of the older tool that go by another name, or that nothing takes the place of.
const RENAMED: [(&str, &str); 3] = [
    ("node_exporter", "prometheus-node-exporter"),
    ("process-exporter", "prometheus-process-exporter"),
    ("consul_exporter", "prometheus-consul-exporter"),
];
const RETIRED: [(&str, &str); 5] = [
    ("node_exporter-supervisord", "systemd supervises now"),
    ("prometheus-register-consul", "it was empty"),
    ("process-exporter-config", "the package has its own default"),
    ("script-exporter", "the agent measures the board now"),
    ("raspberrypi_exporter", "the agent measures the board now"),
];

/// Products that are settings alone: there is no program of that name.
const WITHOUT_PROGRAM: [&str; 1] = ["wifi"];

/// What the older tool was asked for.
#[derive(Debug)]
pub(super) struct Request {
    arches: String,
    packages: String,
    config: Option<Json>,
}

/// The request in `arguments` (without the program's name) when they are the older tool's; `None` when they are ours.
pub(super) fn request(arguments: &[OsString]) -> Result<Option<Request>> {
    let ours = match arguments.first().and_then(|first| first.to_str()) {
        Some(first) => flag(first).is_none_or(|(name, _)| !FLAGS.contains(&name)),
        None => true,
    };
    if ours {
        return Ok(None);
    }
    let mut request = Request {
        arches: DEFAULT_ARCHES.to_owned(),
        packages: String::new(),
        config: None,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(text) = argument.to_str() else {
            bail_input!("an argument is not valid UTF-8");
        };
        let Some((name, value)) = flag(text) else {
            // What is no flag is not repeated: it may be a part of -config that lost its quotes.
            bail_input!("an argument is no flag; quote the whole value of -config, and separate names by commas only");
        };
        if !FLAGS.contains(&name) {
            let known = FLAGS.map(str::to_owned);
            bail_input!(
                "flag provided but not defined: -{name}{}; this form has -arches, -packages and -config; see \
                 `pkgbuilder packages --help` for what else there is",
                nearest(name, &known)
            );
        }
        let value = match value {
            Some(value) => value.to_owned(),
            None => match rest.next().map(|next| next.to_str()) {
                Some(Some(next)) => next.to_owned(),
                Some(None) => bail_input!("the value of -{name} is not valid UTF-8"),
                None => bail_input!("flag needs an argument: -{name}"),
            },
        };
        match name {
            "arches" => request.arches = value,
            "packages" => request.packages = value,
            _ => {
                let mut value = value;
                request.config = Some(Json::from(value.as_str()));
                value.zeroize();
            }
        }
    }
    Ok(Some(request))
}

/// Go's flag syntax: `-name`, `--name`, `-name=value`. A single `-` and what follows `--` are no flags.
fn flag(text: &str) -> Option<(&str, Option<&str>)> {
    let text = text.strip_prefix('-')?;
    let text = text.strip_prefix('-').unwrap_or(text);
    if text.is_empty() || text.starts_with(['-', '=']) {
        return None;
    }
    Some(match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    })
}

/// A list separated by commas; blanks around names do not matter.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// What there is to do for a request.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Programs to package, for these architectures of Debian.
    programs: Vec<String>,
    arches: Vec<String>,
    /// Configuration packages that were named, which must be possible.
    named: Vec<String>,
    /// Products whose configuration packages are made as far as the settings suffice.
    products: Vec<String>,
    remarks: Vec<String>,
}

/// `components` are the programs that can be made: those of the checkout, `None` outside any.
fn plan(request: &Request, components: Option<&[String]>) -> Result<Plan> {
    let mut arches = Vec::new();
    for name in names(&request.arches) {
        let Some((_, debian)) = ARCHES.iter().find(|(old, _)| *old == name) else {
            let known = ARCHES.map(|(old, _)| old.to_owned());
            bail_input!(
                "-arches has an unknown architecture `{name}`{}; it may have {}",
                nearest(name, &known),
                known.join(", ")
            );
        };
        if !arches.contains(&(*debian).to_owned()) {
            arches.push((*debian).to_owned());
        }
    }
    let all = arches.iter().any(|arch| arch == "all");
    arches.retain(|arch| arch != "all");
    let mut plan = Plan {
        programs: Vec::new(),
        arches,
        named: Vec::new(),
        products: Vec::new(),
        remarks: Vec::new(),
    };
    let everything = names(&request.packages).next().is_none();
    if everything {
        match components {
            Some(components) => plan.programs = components.to_vec(),
            None if !plan.arches.is_empty() => bail_input!("programs cannot be made here: {NO_CHECKOUT}"),
            None => {}
        }
        plan.products = MEMBERS.iter().map(|member| member.product.to_owned()).collect();
    }
    for name in names(&request.packages) {
        plan.add(name, components)?;
    }
    plan.products.dedup();
    if !all {
        plan.products.clear();
        for name in std::mem::take(&mut plan.named) {
            plan.remarks.push(format!(
                "{name} is for all architectures: it is made when `-arches` has `all`"
            ));
        }
    }
    if plan.arches.is_empty() {
        for name in std::mem::take(&mut plan.programs) {
            if !everything {
                plan.remarks.push(format!(
                    "the program {name} is made for the architectures that `-arches` names besides `all`, such as \
                     arm64: `all` stands for packages that have none"
                ));
            }
        }
    }
    Ok(plan)
}

/// What to do about a program where there is no catalog to make it from.
const NO_CHECKOUT: &str = "this folder lies in no Computatom checkout, whose jsonnet/components say how programs are \
                           made: run this in one, or ask for configuration packages alone (`-arches all`)";

impl Plan {
    fn add(&mut self, name: &str, components: Option<&[String]>) -> Result<()> {
        if MEMBERS.iter().any(|member| member.name == name) {
            self.named.push(name.to_owned());
            return Ok(());
        }
        if let Some((_, reason)) = RETIRED.iter().find(|(old, _)| *old == name) {
            self.remarks
                .push(format!("there is no package {name} any more: {reason}"));
            return Ok(());
        }
        let product = MEMBERS.iter().any(|member| member.product == name);
        let program = !WITHOUT_PROGRAM.contains(&name);
        if components.is_none() && product && program && !self.arches.is_empty() {
            bail_input!("the program {name} cannot be made here: {NO_CHECKOUT}");
        }
        let elsewhere = if components.is_none() {
            format!("; programs are not among them: {NO_CHECKOUT}")
        } else {
            String::new()
        };
        let components = components.unwrap_or_default();
        let renamed = RENAMED.iter().find(|(old, _)| *old == name).map(|(_, new)| *new);
        let component = components
            .iter()
            .find(|component| *component == name || Some(component.as_str()) == renamed);
        if let Some(component) = component {
            self.programs.push(component.clone());
        } else if !product {
            let mut known: Vec<String> = components.to_vec();
            known.extend(MEMBERS.iter().map(|member| member.name.to_owned()));
            bail_input!(
                "-packages has an unknown package `{name}`{}; there are {}{elsewhere}",
                nearest(name, &known),
                known.join(", ")
            );
        }
        if product {
            self.products.push(name.to_owned());
        }
        Ok(())
    }

    /// The configuration packages.
    fn members(&self, settings: &Settings, reporter: &Reporter) -> Result<Vec<&'static Member>> {
        let mut members = packages::named(&self.named)?;
        let of_products = MEMBERS
            .iter()
            .filter(|member| self.products.iter().any(|product| product == member.product));
        let new = configuration::sufficient(of_products, settings, reporter);
        members.extend(
            new.into_iter()
                .filter(|member| !self.named.iter().any(|name| name == member.name)),
        );
        Ok(members)
    }
}

impl Request {
    /// Does what the older tool would do, in our folders: programs in out/packages, configuration in
    /// out/packages-private. `components` are the programs of the checkout's catalog, `None` outside any; `package`
    /// makes packages of some for architectures.
    pub(super) fn run(
        self,
        reporter: &Reporter,
        components: Option<&[String]>,
        package: impl FnOnce(&[String], &[String]) -> Result<()>,
    ) -> Result<()> {
        let plan = plan(&self, components)?;
        let settings = match &self.config {
            Some(config) => config.settings(reporter)?,
            None => Settings::default(),
        };
        let members = plan.members(&settings, reporter)?;
        for remark in &plan.remarks {
            reporter.warn(remark);
        }
        let unused: Vec<&str> = ["WifiSsid", "WifiPsk"]
            .into_iter()
            .filter(|key| settings.has(key))
            .collect();
        if !unused.is_empty() && !members.iter().any(|member| member.name == "wifi-local") {
            reporter.step(format_args!(
                "{} are for wifi-local, which `-packages` does not name",
                unused.join(" and ")
            ));
        }
        if members.is_empty() && (plan.programs.is_empty() || plan.arches.is_empty()) {
            bail_input!("there is nothing to make: `-packages` and `-arches` have no package in common");
        }
        let out = PathBuf::from("out");
        atomic::check_writable(&out)?;
        if !members.is_empty() {
            configuration::remark_dependencies(&members, &settings, reporter);
            let written = packages::write(&members, &settings, &out, &xdg::data()?)?;
            configuration::print(&written, false)?;
        }
        // The keys are not needed while programs are built.
        drop(settings);
        if plan.programs.is_empty() || plan.arches.is_empty() {
            return Ok(());
        }
        package(&plan.programs, &plan.arches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Request>> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        request(&arguments)
    }

    fn components() -> Vec<String> {
        ["consul", "nomad", "prometheus-node-exporter"]
            .map(str::to_owned)
            .to_vec()
    }

    fn planned(arguments: &[&str]) -> Plan {
        plan(&parse(arguments).unwrap().unwrap(), Some(&components())).unwrap()
    }

    fn refused(arguments: &[&str]) -> String {
        let error = match parse(arguments) {
            Ok(request) => plan(&request.unwrap(), Some(&components())).unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(crate::failure::exit_code(&error), 2);
        error.to_string()
    }

    #[test]
    fn go_flag_syntax_in_all_its_forms() {
        for arguments in [
            &["-arches", "all", "-packages", "consul"][..],
            &["--arches=all", "-packages=consul"],
            &[
                "-packages",
                "nomad",
                "--arches",
                "arm64",
                "-arches=all",
                "-packages",
                " consul ",
            ],
        ] {
            let plan = planned(arguments);
            assert_eq!(
                (plan.products, plan.programs.len()),
                (vec!["consul".to_owned()], 0),
                "{arguments:?}"
            );
        }
        for arguments in [
            &["build", "home"][..],
            &["-q", "build"],
            &["--help"],
            &[],
            &["packages", "-arches"],
        ] {
            assert!(parse(arguments).unwrap().is_none(), "{arguments:?}");
        }
        assert!(refused(&["-arches"]).contains("flag needs an argument: -arches"));
        assert!(
            refused(&["-arches=all", "-packags", "x"]).contains("not defined: -packags (did you mean `packages`?)")
        );
        let text = refused(&["-config", "{ConsulSerfEncrypt:", "opensesame}"]);
        assert!(
            text.contains("quote the whole value") && !text.contains("opensesame"),
            "{text}"
        );
        let request = parse(&["-config", "{\"WifiPsk\": \"opensesame\"}"]).unwrap().unwrap();
        assert!(!format!("{request:?}").contains("opensesame"));
    }

    #[test]
    fn all_stands_for_packages_without_programs() {
        let plan = planned(&["-arches", "all", "-packages", "consul,nomad"]);
        assert_eq!(plan.products, ["consul", "nomad"]);
        assert!(plan.programs.is_empty());
        assert!(
            plan.remarks[0].contains("consul is made for the architectures"),
            "{:?}",
            plan.remarks
        );
        let plan = planned(&[
            "-arches",
            "all,armv6,arm,armv7",
            "-packages",
            "consul,nomad-config-client",
        ]);
        assert_eq!(
            (plan.programs, plan.arches),
            (vec!["consul".to_owned()], vec!["armel".to_owned(), "armhf".to_owned()])
        );
        assert_eq!(
            (plan.named, plan.remarks.len()),
            (vec!["nomad-config-client".to_owned()], 0)
        );
        let plan = planned(&["-arches", "arm64", "-packages", "consul,consul-config-local"]);
        assert!(plan.products.is_empty() && plan.named.is_empty());
        assert!(plan.remarks[0].contains("consul-config-local is for all architectures"));
    }

    #[test]
    fn outside_a_checkout_a_program_is_refused_and_settings_are_made() {
        let outside = |arguments: &[&str]| plan(&parse(arguments).unwrap().unwrap(), None);
        for arguments in [
            &[
                "-arches",
                "all,arm64",
                "-packages",
                "consul-config-static-hostid,nomad,consul",
            ][..],
            &["-arches", "arm64", "-packages", "nomad"],
            &["-packages", "node_exporter"],
            &["-arches", "all", "-packages", "prometheus-node-exporter"],
            &["-config", "{}"],
        ] {
            let error = outside(arguments).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(
                error.to_string().contains("lies in no Computatom checkout"),
                "{arguments:?}: {error}"
            );
        }
        let settings = outside(&["-arches", "all", "-packages", "consul,nomad-config-client"]).unwrap();
        assert_eq!(
            (settings.products, settings.named.len()),
            (vec!["consul".to_owned()], 1)
        );
        let settings = outside(&["-packages", "wifi,nomad-config-client"]).unwrap();
        assert_eq!((settings.products, settings.named.len()), (vec!["wifi".to_owned()], 1));
        assert_eq!(outside(&["-arches", "all"]).unwrap().products.len(), 4);
    }

    #[test]
    fn without_packages_everything_is_made() {
        let plan = planned(&["-config", "{}"]);
        assert_eq!(plan.programs, components());
        assert_eq!(plan.arches, ["arm64", "amd64", "armhf", "armel"]);
        assert_eq!(plan.products, ["consul", "nomad", "prometheus", "wifi"]);
    }

    #[test]
    fn old_names_lead_somewhere_and_unknown_ones_to_the_nearest() {
        let plan = planned(&["-arches", "arm64", "-packages", "node_exporter,script-exporter"]);
        assert_eq!(plan.programs, ["prometheus-node-exporter"]);
        assert!(plan.remarks[0].contains("no package script-exporter any more"));
        assert!(refused(&["-packages", "nomd"]).contains("unknown package `nomd` (did you mean `nomad`?)"));
        assert!(refused(&["-arches", "amd46"]).contains("unknown architecture `amd46` (did you mean `amd64`?)"));
    }

    #[test]
    fn settings_choose_what_is_made() {
        let reporter = Reporter::new(true);
        let plan = planned(&["-arches", "all", "-packages", "consul,nomad,wifi-local"]);
        let members = |json: &str| -> Vec<&str> {
            let settings = Settings::from_json(json).unwrap();
            plan.members(&settings, &reporter)
                .unwrap()
                .iter()
                .map(|member| member.name)
                .collect()
        };
        // Without a key there is no consul-config-local, and without that neither role can be installed.
        assert_eq!(
            members(r#"{"CoreServers": ["10.0.0.1"]}"#),
            [
                "wifi-local",
                "consul-config-static-hostid",
                "nomad-config-local",
                "nomad-config-server",
                "nomad-config-client"
            ]
        );
    }
}
