//! A link group for people (`--display`) and for programs (`--query`).

use std::collections::BTreeMap;

use crate::dpkg::alternatives::Group;

/// `--display`
pub(super) fn display(name: &str, group: &Group, current: Option<&str>) -> String {
    let mut lines = vec![format!(
        "{name} - {} mode",
        if group.manual { "manual" } else { "auto" }
    )];
    lines.extend(group.best(current).map(|best| format!("  link best version is {best}")));
    lines.push(match current {
        Some(path) => format!("  link currently points to {path}"),
        None => "  link currently absent".to_owned(),
    });
    lines.push(format!("  link {name} is {}", group.link));
    lines.extend(
        group
            .slaves
            .iter()
            .map(|(slave, link)| format!("  slave {slave} is {link}")),
    );
    for (path, choice) in &group.choices {
        lines.push(format!("{path} - priority {}", choice.priority));
        lines.extend(
            choice
                .slaves
                .iter()
                .map(|(slave, file)| format!("  slave {slave}: {file}")),
        );
    }
    lines.join("\n") + "\n"
}

/// `--query`
pub(super) fn query(name: &str, group: &Group, current: Option<&str>) -> String {
    let slaves = |of: &BTreeMap<String, String>| {
        let lines: Vec<String> = of.iter().map(|(slave, path)| format!(" {slave} {path}")).collect();
        if lines.is_empty() {
            lines
        } else {
            [vec!["Slaves:".to_owned()], lines].concat()
        }
    };
    let mut lines = vec![format!("Name: {name}"), format!("Link: {}", group.link)];
    lines.extend(slaves(&group.slaves));
    lines.push(format!("Status: {}", if group.manual { "manual" } else { "auto" }));
    lines.extend(group.best(current).map(|best| format!("Best: {best}")));
    lines.push(format!("Value: {}", current.unwrap_or("none")));
    for (path, choice) in &group.choices {
        lines.extend([
            String::new(),
            format!("Alternative: {path}"),
            format!("Priority: {}", choice.priority),
        ]);
        lines.extend(slaves(&choice.slaves));
    }
    lines.join("\n") + "\n"
}
