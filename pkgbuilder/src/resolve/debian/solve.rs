//! The choice of packages: `resolvo` over names, versions, Provides, Depends, Conflicts and Breaks.
//!
//! Packages relate by name, version and provision; the solver knows sets of versions of one name. So each
//! relationship is spelled out as the packages that satisfy it. Of several that do, the first is tried first:
//! the definition's `prefer` list, then the order of the alternatives as written (as apt does), real packages
//! before provided ones, then Priority, then the name. One already chosen for another reason needs no choice.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use anyhow::Result;
use resolvo::utils::{Pool, VersionSet};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider, Interner,
    KnownDependencies, NameId, Problem, Requirement, SolvableId, Solver, SolverCache, StringId, UnsolvableOrCancelled,
    VersionSetId, VersionSetUnionId,
};

use super::index::Index;
use super::known::known;
use super::relation::{Relation, parse_list};
use crate::failure::Interrupted;
use crate::{bail_input, interrupt};

/// What the solver is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Relationships that must hold (`docker.io`, `libc6 (>= 2.36)`, `a | b`), beside all essential packages.
    pub relations: Vec<String>,
    /// Which package to take where several will do.
    pub prefer: Vec<String>,
    /// Packages that must not be installed.
    pub avoid: Vec<String>,
    /// Whether Recommends are followed where that is possible.
    pub recommends: bool,
}

/// Chooses packages; the answer is places in `index.packages`, sorted by package name.
pub fn solve(index: &Index<'_>, wanted: &Wanted) -> Result<Vec<usize>> {
    for name in wanted.prefer.iter().chain(&wanted.avoid) {
        known(index, name)?;
    }
    let mut soft = BTreeSet::new();
    loop {
        let chosen = solve_with(index, wanted, &soft)?;
        let before = soft.len();
        if wanted.recommends {
            soft.extend(recommended(index, wanted, &chosen)?);
        }
        if soft.len() == before {
            return Ok(chosen);
        }
    }
}

fn solve_with(index: &Index<'_>, wanted: &Wanted, soft: &BTreeSet<usize>) -> Result<Vec<usize>> {
    let provider = Provider::new(index, wanted);
    let mut requirements: Vec<ConditionalRequirement> = Vec::new();
    for name in essential(index) {
        requirements.push(provider.requirement(&parse_list(name)?[0]).into());
    }
    for text in &wanted.relations {
        for alternatives in parse_list(text)? {
            if let [only] = alternatives.as_slice() {
                known(index, only.name)?;
            }
            requirements.push(provider.requirement(&alternatives).into());
        }
    }
    let soft: Vec<SolvableId> = soft.iter().map(|&package| provider.solvables[package]).collect();
    let mut solver = Solver::new(provider);
    let problem = Problem::new().requirements(requirements).soft_requirements(soft);
    match solver.solve(problem) {
        Ok(solution) => {
            let pool = &solver.provider().pool;
            let mut chosen: Vec<usize> = solution
                .iter()
                .map(|&id| pool.resolve_solvable(id).record.package)
                .collect();
            chosen.sort_by_key(|&package| index.packages[package].name);
            Ok(chosen)
        }
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            let why = conflict.display_user_friendly(&solver).to_string();
            bail_input!(
                "the packages asked for cannot be installed together; change the definition's `packages` or `avoid`:\n{}",
                why.trim_end()
            )
        }
        Err(UnsolvableOrCancelled::Cancelled(_)) => Err(Interrupted.into()),
    }
}

/// Names of the essential packages, judged by their newest version.
fn essential<'a>(index: &Index<'a>) -> Vec<&'a str> {
    let mut names: Vec<&str> = index
        .by_name
        .iter()
        .filter(|(_, versions)| {
            let newest = versions.first().map(|&at| &index.packages[at]);
            newest.is_some_and(|package| package.essential && !package.unpinned)
        })
        .map(|(name, _)| *name)
        .collect();
    names.sort_unstable();
    names
}

/// What the chosen packages recommend and the choice lacks: the best candidate of each clause.
fn recommended(index: &Index<'_>, wanted: &Wanted, chosen: &[usize]) -> Result<Vec<usize>> {
    let provider = Provider::new(index, wanted);
    let mut missing = Vec::new();
    for &package in chosen {
        for alternatives in parse_list(index.packages[package].recommends)? {
            let candidates = provider.candidates(&alternatives);
            if !candidates.iter().any(|candidate| chosen.contains(candidate)) {
                missing.extend(candidates.first());
            }
        }
    }
    Ok(missing)
}

/// Some versions of one package.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Versions {
    admitted: Vec<usize>,
    text: String,
}

/// A package as the solver shows it.
struct Record {
    package: usize,
    version: String,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

impl VersionSet for Versions {
    type V = Record;
}

/// The index as the solver sees it.
struct Provider<'a> {
    index: &'a Index<'a>,
    pool: Pool<Versions>,
    solvables: Vec<SolvableId>,
    prefer: HashMap<&'a str, usize>,
    avoid: BTreeSet<&'a str>,
}

impl<'a> Provider<'a> {
    fn new(index: &'a Index<'a>, wanted: &'a Wanted) -> Self {
        let pool = Pool::default();
        let solvables = index
            .packages
            .iter()
            .enumerate()
            .map(|(package, about)| {
                let record = Record {
                    package,
                    version: about.version_text.to_owned(),
                };
                pool.intern_solvable(pool.intern_package_name(about.name), record)
            })
            .collect();
        let prefer = wanted
            .prefer
            .iter()
            .enumerate()
            .map(|(rank, name)| (name.as_str(), rank));
        Self {
            index,
            pool,
            solvables,
            prefer: prefer.collect(),
            avoid: wanted.avoid.iter().map(String::as_str).collect(),
        }
    }

    fn name(&self, package: usize) -> &'a str {
        self.index.packages[package].name
    }

    /// Packages that satisfy one of the alternatives, the best first.
    fn candidates(&self, alternatives: &[Relation<'_>]) -> Vec<usize> {
        let mut found = Vec::new();
        for relation in alternatives {
            let mut real = self.named(relation);
            let mut providing = self.providing(relation);
            providing.sort_by_key(|&package| (self.index.packages[package].priority, self.name(package)));
            for package in real.drain(..).chain(providing) {
                if !found.contains(&package) && !self.avoid.contains(self.name(package)) {
                    found.push(package);
                }
            }
        }
        // Stable: among equally (un)preferred ones the order stays. What no pin takes is for want of anything else.
        found.sort_by_key(|&package| {
            let preferred = self.prefer.get(self.name(package)).copied().unwrap_or(usize::MAX);
            (self.index.packages[package].unpinned, preferred)
        });
        found
    }

    /// Packages of the relation's name, newest first.
    fn named(&self, relation: &Relation<'_>) -> Vec<usize> {
        let versions = self.index.by_name.get(relation.name).into_iter().flatten();
        versions
            .copied()
            .filter(|&package| relation.admits(&self.index.packages[package].version))
            .collect()
    }

    /// Packages that provide the relation's name.
    fn providing(&self, relation: &Relation<'_>) -> Vec<usize> {
        let provisions = self.index.provided.get(relation.name).into_iter().flatten();
        provisions
            .filter(|provision| relation.admits_provided(provision.version.as_ref()))
            .map(|provision| provision.package)
            .collect()
    }

    fn requirement(&self, alternatives: &[Relation<'_>]) -> Requirement {
        let text = |relation: &Relation<'_>| relation.text.to_owned();
        let mut sets: Vec<(&str, Vec<usize>)> = Vec::new();
        for package in self.candidates(alternatives) {
            let name = self.name(package);
            match sets.iter_mut().find(|(known, _)| *known == name) {
                Some((_, admitted)) => admitted.push(package),
                None => sets.push((name, vec![package])),
            }
        }
        let mut ids = sets.into_iter().map(|(name, admitted)| {
            let asked = alternatives.iter().find(|relation| relation.name == name);
            self.versions(name, admitted, asked.map(text).unwrap_or_default())
        });
        let Some(first) = ids.next() else {
            // Nothing satisfies it: a set without members says so under the name that was asked for.
            let relation = alternatives.first();
            let name = relation.map_or("", |relation| relation.name);
            return self
                .versions(name, Vec::new(), relation.map(text).unwrap_or_default())
                .into();
        };
        let others: Vec<VersionSetId> = ids.collect();
        if others.is_empty() {
            return first.into();
        }
        self.pool.intern_version_set_union(first, others.into_iter()).into()
    }

    fn versions(&self, name: &str, mut admitted: Vec<usize>, text: String) -> VersionSetId {
        admitted.sort_unstable();
        self.pool
            .intern_version_set(self.pool.intern_package_name(name), Versions { admitted, text })
    }

    /// What must not be there together with `package`: for each name, the versions that may.
    fn constraints(&self, package: usize, conflicts: &[Vec<Relation<'_>>], into: &mut Vec<VersionSetId>) {
        let own = self.name(package);
        for relation in conflicts.iter().flatten() {
            let mut forbidden = self.named(relation);
            forbidden.extend(self.providing(relation));
            let names: BTreeSet<&str> = forbidden.iter().map(|&other| self.name(other)).collect();
            // Policy 7.4: a package does not conflict with itself, be it by what it provides.
            for name in names.into_iter().filter(|name| *name != own) {
                let versions = &self.index.by_name[name];
                let admitted = versions
                    .iter()
                    .copied()
                    .filter(|other| !forbidden.contains(other))
                    .collect();
                into.push(self.versions(name, admitted, format!("not {}", relation.text)));
            }
        }
    }

    fn known_dependencies(&self, package: usize) -> Result<KnownDependencies> {
        let about = &self.index.packages[package];
        let mut dependencies = KnownDependencies::default();
        for text in about.depends {
            for alternatives in parse_list(text)? {
                dependencies.requirements.push(self.requirement(&alternatives).into());
            }
        }
        for text in about.conflicts {
            self.constraints(package, &parse_list(text)?, &mut dependencies.constrains);
        }
        Ok(dependencies)
    }
}

impl Interner for Provider<'_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl fmt::Display + '_ {
        let solvable = self.pool.resolve_solvable(solvable);
        format!("{} {}", self.pool.resolve_package_name(solvable.name), solvable.record)
    }

    fn display_name(&self, name: NameId) -> impl fmt::Display + '_ {
        self.pool.resolve_package_name(name)
    }

    fn display_version_set(&self, set: VersionSetId) -> impl fmt::Display + '_ {
        &self.pool.resolve_version_set(set).text
    }

    fn display_string(&self, string: StringId) -> impl fmt::Display + '_ {
        self.pool.resolve_string(string)
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        self.pool.resolve_version_set_package_name(set)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        self.pool.resolve_solvable(solvable).name
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.pool.resolve_version_set_union(union)
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.pool.resolve_condition(condition).clone()
    }
}

impl DependencyProvider for Provider<'_> {
    async fn filter_candidates(&self, candidates: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let admitted = &self.pool.resolve_version_set(set).admitted;
        candidates
            .iter()
            .copied()
            .filter(|&id| admitted.contains(&self.pool.resolve_solvable(id).record.package) != inverse)
            .collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let name = self.pool.resolve_package_name(name);
        let versions = self.index.by_name.get(name.as_str())?;
        let candidates: Vec<SolvableId> = versions.iter().map(|&package| self.solvables[package]).collect();
        Some(Candidates {
            candidates,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _solver: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        let package = |id: &SolvableId| &self.index.packages[self.pool.resolve_solvable(*id).record.package];
        solvables.sort_by(|a, b| {
            let (a, b) = (package(a), package(b));
            (a.unpinned.cmp(&b.unpinned)).then_with(|| b.version.cmp(&a.version))
        });
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let package = self.pool.resolve_solvable(solvable).record.package;
        match self.known_dependencies(package) {
            Ok(dependencies) => Dependencies::Known(dependencies),
            Err(error) => Dependencies::Unknown(self.pool.intern_string(format!("{error:#}"))),
        }
    }

    fn should_cancel_with_value(&self) -> Option<Box<dyn std::any::Any>> {
        interrupt::check()
            .err()
            .map(|interrupted| Box::new(interrupted) as Box<dyn std::any::Any>)
    }
}
