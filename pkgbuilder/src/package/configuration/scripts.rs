//! The maintainer scripts of configuration packages.

use std::fmt::Write as _;

use super::parts::{Audience, Parts, Start};

/// `postinst`, `prerm` and `postrm`; an empty one is left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) postinst: String,
    pub(super) prerm: String,
    pub(super) postrm: String,
}

/// The scripts that `parts` need.
pub(super) fn of(parts: &Parts) -> Texts {
    let mut configure = String::new();
    for file in &parts.files {
        if let Some(name) = file.path.strip_prefix("/usr/lib/sysusers.d/") {
            let _ = writeln!(configure, "\tsystemd-sysusers {name}");
        }
    }
    for file in &parts.files {
        if let Audience::Group(group) = file.audience {
            // An administrator's own choice (dpkg-statoverride) goes first. dpkg keeps owner and mode of a conffile
            // that it replaces, so this matters once.
            let path = &file.path;
            let _ = writeln!(
                configure,
                "\tif [ -e {path} ] && ! dpkg-statoverride --list {path} >/dev/null; then\n\
                 \t\tchgrp {group} {path}\n\t\tchmod 0640 {path}\n\tfi"
            );
        }
    }
    let running = "\tif [ -d /run/systemd/system ]; then\n";
    let reload = "\t\tsystemctl --system daemon-reload >/dev/null || true\n";
    let mut texts = Texts::default();
    match parts.start {
        Start::Nothing => {}
        Start::Always(unit) => {
            let _ = write!(
                configure,
                "{running}{reload}\t\tdeb-systemd-invoke restart '{unit}' >/dev/null || true\n\tfi\n"
            );
            texts.prerm = format!(
                "if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then\n\
                 \tdeb-systemd-invoke stop '{unit}' >/dev/null || true\nfi\n"
            );
            texts.postrm = format!(
                "if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then\n{}fi\n",
                reload.replacen("\t\t", "\t", 1)
            );
        }
        Start::IfRunning(unit) => {
            let _ = write!(
                configure,
                "{running}{reload}\t\tif systemctl --quiet --system is-active '{unit}'; then\n\
                 \t\t\tdeb-systemd-invoke restart '{unit}' >/dev/null || true\n\t\tfi\n\tfi\n"
            );
        }
        Start::Connections => {
            let _ = write!(
                configure,
                "{running}\t\tif command -v nmcli >/dev/null; then\n\t\t\tnmcli connection reload >/dev/null || \
                 true\n\t\tfi\n\tfi\n"
            );
        }
    }
    if !configure.is_empty() {
        texts.postinst = format!("if [ \"$1\" = configure ]; then\n{configure}fi\n");
    }
    for text in [&mut texts.postinst, &mut texts.prerm, &mut texts.postrm] {
        if !text.is_empty() {
            *text = format!("#!/bin/sh\nset -e\n{text}\nexit 0\n");
        }
    }
    texts
}
