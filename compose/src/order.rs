//! In which order packages are unpacked and configured: as mmdebstrap bootstraps and dpkg configures, but
//! the same every time.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::deb::{Control, Package, relation::Relations};

/// Packages that everything else silently builds on, in this order: directories and links first, then accounts.
const BOOTSTRAP: [&str; 2] = ["base-files", "base-passwd"];

/// One step of an installation; numbers are positions in the list of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its files are put into the tree before dpkg knows of it, so that the essential scripts find their tools.
    Extract(usize),
    /// `preinst install`, then its files.
    Unpack(usize),
    /// `config` and `postinst configure`.
    Configure(usize),
    /// Triggers that were set off since the last time.
    ProcessTriggers,
}

/// The steps of an installation, and the dependencies that nothing in the list fulfils.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// Package and the alternatives (`a | b`) of which none is in the list.
    pub unmet: Vec<(String, String)>,
}

/// Orders an installation on an empty system.
///
/// The essential packages and what they need come first: all extracted, then unpacked, then configured,
/// base-passwd and base-files leading. The others follow in the order of their dependencies: `Pre-Depends`
/// configured before unpacking, `Depends` before configuring (Policy 7.2); cycles are broken at a package without
/// a postinst, as dpkg does.
pub fn plan(packages: &[Package]) -> Plan {
    let mut planner = Planner::new(packages);
    let essential = planner.essential();
    let mut steps: Vec<Step> = essential.iter().map(|&at| Step::Extract(at)).collect();
    steps.extend(essential.iter().map(|&at| Step::Unpack(at)));
    planner.unpacked.extend(&essential);
    // Accounts before anything that names them, then the directories; what these two depend on can wait, for
    // nothing is executed.
    for name in BOOTSTRAP.iter().rev() {
        if let Some(&at) = essential.iter().find(|&&at| planner.control(at).name == *name) {
            planner.configured.insert(at);
            steps.push(Step::Configure(at));
        }
    }
    planner.configure(&essential, &mut steps);
    steps.push(Step::ProcessTriggers);
    for at in planner.by_name() {
        planner.unpack(at, &mut steps, &mut HashSet::new());
    }
    let rest: Vec<usize> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Unpack(at) if !planner.configured.contains(at) => Some(*at),
            _ => None,
        })
        .collect();
    planner.configure(&rest, &mut steps);
    steps.push(Step::ProcessTriggers);
    Plan {
        steps,
        unmet: planner.unmet(),
    }
}

struct Planner<'a> {
    packages: &'a [Package],
    /// Real and virtual names to the packages that bear them, in order of name.
    names: HashMap<&'a str, Vec<usize>>,
    unpacked: HashSet<usize>,
    configured: HashSet<usize>,
}

impl<'a> Planner<'a> {
    fn new(packages: &'a [Package]) -> Self {
        let mut planner = Self {
            packages,
            names: HashMap::new(),
            unpacked: HashSet::new(),
            configured: HashSet::new(),
        };
        for at in planner.by_name() {
            let control = &packages[at].control;
            planner.names.entry(&control.name).or_default().insert(0, at);
            for provided in control.provides.flat() {
                let bearers = planner.names.entry(&provided.name).or_default();
                if !bearers.contains(&at) {
                    bearers.push(at);
                }
            }
        }
        planner
    }

    fn control(&self, at: usize) -> &'a Control {
        &self.packages[at].control
    }

    fn by_name(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.packages.len()).collect();
        order.sort_by(|&a, &b| self.control(a).name.cmp(&self.control(b).name));
        order
    }

    /// The packages that fulfil a group of alternatives, in the order the alternatives are written.
    fn fulfilling(&self, group: &[crate::deb::relation::Relation]) -> Vec<usize> {
        let mut found = Vec::new();
        for relation in group {
            for &at in self.names.get(relation.name.as_str()).into_iter().flatten() {
                let control = self.control(at);
                // A versioned relation is fulfilled by a provider only if that provides a fitting version
                // (Policy 7.5); the resolver has seen to that, so here the name decides.
                let fits = control.name != relation.name || relation.accepts(&control.version);
                if fits && !found.contains(&at) {
                    found.push(at);
                }
            }
        }
        found
    }

    fn needs(&self, relations: &Relations) -> Vec<Vec<usize>> {
        let groups = relations.0.iter().map(|group| self.fulfilling(group));
        groups.filter(|group| !group.is_empty()).collect()
    }

    fn unmet(&self) -> Vec<(String, String)> {
        let mut unmet = BTreeSet::new();
        for package in self.packages {
            let control = &package.control;
            for group in control.pre_depends.0.iter().chain(&control.depends.0) {
                if self.fulfilling(group).is_empty() {
                    unmet.insert((control.name.clone(), Relations(vec![group.clone()]).to_string()));
                }
            }
        }
        unmet.into_iter().collect()
    }

    /// Essential packages with everything they need, dependencies first, base-files and base-passwd leading.
    fn essential(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        for at in self.by_name() {
            if self.control(at).essential {
                self.visit(at, &mut seen, &mut order);
            }
        }
        let rank = |at: &usize| {
            let name = self.control(*at).name.as_str();
            BOOTSTRAP
                .iter()
                .position(|first| *first == name)
                .unwrap_or(BOOTSTRAP.len())
        };
        order.sort_by_key(rank);
        order
    }

    fn visit(&self, at: usize, seen: &mut HashSet<usize>, order: &mut Vec<usize>) {
        if !seen.insert(at) {
            return;
        }
        let control = self.control(at);
        for relations in [&control.pre_depends, &control.depends] {
            for group in self.needs(relations) {
                self.visit(group[0], seen, order);
            }
        }
        order.push(at);
    }

    /// Unpacks a package after what it needs; `Pre-Depends` are configured before.
    fn unpack(&mut self, at: usize, steps: &mut Vec<Step>, active: &mut HashSet<usize>) {
        if self.unpacked.contains(&at) || !active.insert(at) {
            return;
        }
        let control = self.control(at);
        for group in self.needs(&control.depends) {
            self.unpack(group[0], steps, active);
        }
        for group in self.needs(&control.pre_depends) {
            self.unpack(group[0], steps, active);
            if !group.iter().any(|at| self.configured.contains(at)) {
                let mut closure = Vec::new();
                self.visit(group[0], &mut self.configured.clone(), &mut closure);
                let closure: Vec<usize> = closure.into_iter().filter(|&at| self.unpacked.contains(&at)).collect();
                self.configure(&closure, steps);
            }
        }
        self.unpacked.insert(at);
        steps.push(Step::Unpack(at));
    }

    /// Configures unpacked packages: in the given order, each when what it depends on is configured. Where nothing
    /// can go on, a dependency in a cycle is ignored: that of a package without a postinst if there is one.
    fn configure(&mut self, queue: &[usize], steps: &mut Vec<Step>) {
        let mut queue: Vec<usize> = queue
            .iter()
            .copied()
            .filter(|at| !self.configured.contains(at))
            .collect();
        while !queue.is_empty() {
            let ready = queue.iter().position(|&at| self.waits_for(at).is_none());
            let next = ready.unwrap_or_else(|| {
                let cycle = self.cycle(queue[0]);
                let weak = cycle
                    .iter()
                    .find(|&&at| !self.control(at).members.contains_key("postinst"));
                let chosen = *weak.unwrap_or(&cycle[0]);
                queue.iter().position(|&at| at == chosen).unwrap_or(0)
            });
            let at = queue.remove(next);
            self.configured.insert(at);
            steps.push(Step::Configure(at));
        }
    }

    /// A package that `at` depends on, unpacked and not yet configured.
    fn waits_for(&self, at: usize) -> Option<usize> {
        let control = self.control(at);
        [&control.pre_depends, &control.depends]
            .into_iter()
            .find_map(|relations| {
                let groups = self.needs(relations);
                let blocked = groups.into_iter().find(|group| {
                    !group.contains(&at)
                        && !group.iter().any(|at| self.configured.contains(at))
                        && group.iter().any(|at| self.unpacked.contains(at))
                });
                blocked.and_then(|group| group.into_iter().find(|at| self.unpacked.contains(at)))
            })
    }

    /// The cycle that is reached by following from `start` what each package waits for.
    fn cycle(&self, start: usize) -> Vec<usize> {
        let mut path = vec![start];
        while let Some(next) = self.waits_for(path[path.len() - 1]) {
            if let Some(first) = path.iter().position(|&at| at == next) {
                return path.split_off(first);
            }
            path.push(next);
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deb::tests::package;

    fn named(steps: &[Step], packages: &[Package]) -> Vec<String> {
        let name = |at: &usize| packages[*at].name().to_owned();
        let text = |step: &Step| match step {
            Step::Extract(at) => format!("extract {}", name(at)),
            Step::Unpack(at) => format!("unpack {}", name(at)),
            Step::Configure(at) => format!("configure {}", name(at)),
            Step::ProcessTriggers => "triggers".to_owned(),
        };
        steps.iter().map(text).collect()
    }

    #[test]
    fn essential_packages_are_there_before_any_is_configured() {
        let packages = [
            package("zz", "Depends: aa\n", &[], &[]),
            package("aa", "Pre-Depends: mm\n", &[], &[]),
            package("mm", "", &[], &[]),
            package("dash", "Essential: yes\nPre-Depends: libc6\n", &[], &[]),
            package("libc6", "", &[], &[]),
            package("base-passwd", "Essential: yes\nDepends: libc6\n", &[], &[]),
            package("base-files", "Essential: yes\n", &[], &[]),
        ];
        let plan = plan(&packages);
        assert_eq!(
            named(&plan.steps, &packages),
            [
                "extract base-files",
                "extract base-passwd",
                "extract libc6",
                "extract dash",
                "unpack base-files",
                "unpack base-passwd",
                "unpack libc6",
                "unpack dash",
                "configure base-passwd",
                "configure base-files",
                "configure libc6",
                "configure dash",
                "triggers",
                "unpack mm",
                "configure mm",
                "unpack aa",
                "unpack zz",
                "configure aa",
                "configure zz",
                "triggers",
            ]
        );
    }

    #[test]
    fn a_cycle_is_broken_at_a_package_without_postinst() {
        let script = [("./postinst", "#!/bin/sh\n")];
        let packages = [
            package("aa", "Depends: bb\n", &script, &[]),
            package("bb", "Depends: aa\n", &[], &[]),
        ];
        let steps = named(&plan(&packages).steps, &packages);
        assert_eq!(steps[3..5], ["configure bb", "configure aa"]);
    }

    #[test]
    fn an_alternative_or_a_provider_fulfils_and_absence_is_told() {
        let packages = [
            package("aa", "Depends: no | yes, gone (>= 1) | away\n", &[], &[]),
            package("real", "Provides: yes\n", &[], &[]),
        ];
        let plan = plan(&packages);
        assert_eq!(plan.unmet, [("aa".to_owned(), "gone (>= 1) | away".to_owned())]);
        let steps = named(&plan.steps, &packages);
        assert!(steps.iter().position(|s| s == "configure real") < steps.iter().position(|s| s == "configure aa"));
    }
}
