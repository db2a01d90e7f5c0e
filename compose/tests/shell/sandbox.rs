//! A root of its own for the real shell, thrown away afterwards.

use std::process::{Command, Output, Stdio};

/// Where a script finds its programs, in the sandbox as in the tree.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The accounts there.
pub(crate) const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n";

/// A scratch root with dash, bash and busybox, thrown away afterwards.
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
    /// Whether `/proc` is there, which `/dev/stdin` and the like lead to.
    proc: bool,
}

impl Sandbox {
    /// With the programs of busybox.
    #[allow(dead_code, reason = "two tests share this file")]
    pub(crate) fn new() -> Self {
        let sandbox = Self {
            proc: true,
            ..Self::bare()
        };
        let script = "set -e
            cd \"$0\"
            for applet in $(busybox --list); do
                [ -e usr/bin/$applet ] || ln -s busybox usr/bin/$applet
            done";
        let built = Command::new("sh")
            .args(["-c", script])
            .arg(sandbox.root.path())
            .output()
            .expect("running sh");
        assert!(built.status.success(), "filling the sandbox: {}", text(&built.stderr));
        sandbox
    }

    /// With nothing but the shells, `busybox` and `find`, and without `/proc`.
    pub(crate) fn bare() -> Self {
        for tool in ["dash", "bash", "busybox", "find", "unshare", "chroot", "ldd"] {
            let found = Command::new("sh")
                .args(["-c", "command -v \"$0\"", tool])
                .output()
                .expect("running sh");
            assert!(
                found.status.success(),
                "`{tool}` is missing: the real shells judge our evaluator; install dash, bash, busybox-static, findutils, util-linux \
                 and coreutils (apt-get install dash bash busybox-static findutils util-linux coreutils libc-bin)"
            );
        }
        let root = tempfile::tempdir().expect("a temporary directory");
        let script = "set -e
            cd \"$0\"
            mkdir -p tmp scratch home/user etc usr/bin usr/lib usr/lib64 dev proc
            for merged in bin lib lib64; do ln -s \"usr/$merged\" \"$merged\"; done
            ln -s /proc/self/fd dev/fd
            for stream in 0:stdin 1:stdout 2:stderr; do ln -s \"/proc/self/fd/${stream%:*}\" \"dev/${stream#*:}\"; done
            : > dev/null
            for program in dash bash busybox find; do
                path=$(command -v $program)
                cp \"$path\" usr/bin/
                for lib in $(ldd \"$path\" 2>/dev/null | grep -o '/[^ ]*'); do
                    mkdir -p \".${lib%/*}\"
                    cp -L \"$lib\" \".$lib\"
                done
            done
            ln -s dash usr/bin/sh";
        let built = Command::new("sh")
            .args(["-c", script])
            .arg(root.path())
            .output()
            .expect("running sh");
        assert!(built.status.success(), "building the sandbox: {}", text(&built.stderr));
        Self { root, proc: false }
    }

    /// Runs a script in fresh directories: by bash if its first line asks for that, else by dash.
    pub(crate) fn run(&self, script: &str) -> Output {
        let root = self.root.path();
        for dir in ["tmp", "scratch"] {
            let _ = std::fs::remove_dir_all(root.join(dir));
            std::fs::create_dir(root.join(dir)).expect("a fresh directory in the sandbox");
        }
        std::fs::write(root.join("script"), script).expect("writing the script");
        let shell = if script.starts_with("#!/bin/bash") {
            "bash"
        } else {
            "dash"
        };
        let enter = "mount --bind /dev/null \"$0/dev/null\" && { [ -z \"$4\" ] || mount --rbind /proc \"$0/proc\"; } && \
                     mount -t tmpfs tmpfs \"$0/home\" && mkdir \"$0/home/user\" && \
                     mount -t tmpfs tmpfs \"$0/etc\" && printf %s \"$3\" > \"$0/etc/passwd\" && exec chroot \"$0\" \
                     /usr/bin/busybox env -i HOME=/home/user PATH=\"$1\" \"$2\" /script";
        // A process namespace, so that nothing outlives a script that runs for ever.
        let output = Command::new("timeout")
            .args([
                "--signal=KILL",
                "10",
                "unshare",
                "--map-root-user",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .args(["--", "sh", "-c", enter])
            .arg(root)
            .args([PATH, shell, PASSWD, if self.proc { "proc" } else { "" }])
            .stdin(Stdio::null())
            .output()
            .expect("running unshare");
        assert!(
            !text(&output.stderr).contains("unshare failed"),
            "the real shell runs in namespaces of its own, which this machine forbids ({}): run the tests as root or \
             allow it by `sysctl kernel.unprivileged_userns_clone=1`",
            text(&output.stderr).trim()
        );
        output
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
