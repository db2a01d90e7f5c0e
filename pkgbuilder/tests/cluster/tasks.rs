use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::eventually;
use crate::tool::{Tool, say};

/// Unpacking an image and starting a container take their time in emulation.
const LONG: Duration = Duration::from_mins(8);
/// A buffer that is filled to its end: a task of [`TIGHT`] MiB has no room for it, one of [`ROOMY`] has.
const EAT: &str = "exec /bin/busybox dd if=/dev/zero of=/dev/null bs=96M count=1";
const TIGHT: u32 = 48;
const ROOMY: u32 = 160;

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It ends with 0.
    Well,
    /// The kernel ends it as it takes more memory than is its.
    OutOfMemory,
    /// The same, of which `raw_exec` tells the signal alone, and `exec` too where the kernel's notification comes after the end
    /// (Nomad 1.10.5 does not wait for it). That the same runs well with more memory says what it was.
    Killed,
}

/// What a task may see tells what it runs in: a chroot, a container, or nothing at all.
const CASES: [(&str, &str, u32, End); 9] = [
    (
        "exec",
        "test ! -e /var/lib/nomad; test $(/bin/busybox id -u) != 0",
        TIGHT,
        End::Well,
    ),
    ("exec", EAT, ROOMY, End::Well),
    ("exec", EAT, TIGHT, End::Killed),
    (
        "docker",
        "test -e /.dockerenv; test ! -e /var/lib/nomad",
        TIGHT,
        End::Well,
    ),
    ("docker", EAT, ROOMY, End::Well),
    ("docker", EAT, TIGHT, End::OutOfMemory),
    (
        "raw_exec",
        "test -e /var/lib/nomad; test $(/bin/busybox id -u) = 0",
        TIGHT,
        End::Well,
    ),
    ("raw_exec", EAT, ROOMY, End::Well),
    ("raw_exec", EAT, TIGHT, End::Killed),
];

/// Tasks of each driver run on a client, and none has more memory than was asked for; `raw_exec` runs where the
/// settings allow it, and nowhere else.
pub(crate) fn of_each_driver(tool: &Tool, nomad: u16, raw_exec: bool) -> Result<()> {
    let cases = || CASES.iter().enumerate();
    let runs = |driver: &str| raw_exec || driver != "raw_exec";
    for (index, (driver, script, memory, end)) in cases().filter(|(_, case)| runs(case.0)) {
        // One after another: emulation is slow enough.
        tool.submit(nomad, &job(&name(index), driver, script, *memory))?;
        let allocation = eventually(LONG, || ended(tool, nomad, &name(index)))?;
        let task = &allocation["TaskStates"]["task"];
        let words = format!("{driver} with {memory} MiB, `{script}`");
        let last = terminated(task).with_context(|| format!("{words} was never started: {task}"))?;
        say(&format!("{words}: {}", last["DisplayMessage"]));
        let details = &last["Details"];
        let is_so = match end {
            End::Well => task["Failed"] == false && details["exit_code"] == "0",
            End::OutOfMemory => task["Failed"] == true && details["oom_killed"] == "true",
            End::Killed => task["Failed"] == true && (details["signal"] == "9" || details["exit_code"] == "137"),
        };
        ensure!(is_so, "{words} did not end as it should ({end:?}): {task}");
    }
    for (index, (driver, script, memory, _)) in cases().filter(|(_, case)| !runs(case.0)) {
        tool.submit(nomad, &job(&name(index), driver, script, *memory))?;
        eventually(LONG, || {
            let path = format!("/v1/job/{}/evaluations", name(index));
            let evaluations = tool.get(nomad, &path)?;
            let filtered = evaluations
                .as_array()
                .into_iter()
                .flatten()
                .find_map(|evaluation| evaluation["FailedTGAllocs"]["group"]["ConstraintFiltered"].as_object());
            let filtered = filtered.with_context(|| format!("it was not refused: {evaluations}"))?;
            ensure!(filtered.contains_key("missing drivers"), "{filtered:?}");
            Ok(())
        })?;
    }
    Ok(())
}

fn name(index: usize) -> String {
    format!("task-{index}")
}

/// The only allocation of a job, once it is over.
fn ended(tool: &Tool, nomad: u16, job: &str) -> Result<Value> {
    let allocations = tool.get(nomad, &format!("/v1/job/{job}/allocations"))?;
    let allocation = &allocations[0];
    ensure!(
        allocation["ClientStatus"] == "complete" || allocation["ClientStatus"] == "failed",
        "{job}: {}",
        allocation["TaskStates"]
    );
    Ok(allocation.clone())
}

/// How a task ended.
fn terminated(task: &Value) -> Option<&Value> {
    task["Events"]
        .as_array()?
        .iter()
        .rfind(|event| event["Type"] == "Terminated")
}

/// A job of one task, which is tried once.
fn job(name: &str, driver: &str, script: &str, memory: u32) -> String {
    let (before, config) = match driver {
        "docker" => (ARCHIVE, "image = \"board:1\"\n load = \"../../alloc/board.tar\""),
        _ => ("", ""),
    };
    format!(
        r#"
job "{name}" {{
  type        = "batch"
  datacenters = ["*"]
  group "group" {{
    restart {{
      attempts = 0
      mode     = "fail"
    }}
    reschedule {{
      attempts  = 0
      unlimited = false
    }}
    {before}
    task "task" {{
      driver = "{driver}"
      config {{
        command = "/bin/sh"
        args    = ["-euc", "{script}"]
        {config}
      }}
      resources {{
        cpu    = 50
        memory = {memory}
      }}
    }}
  }}
}}
"#
    )
}

/// The segment reaches no registry: a task before the container writes its image, of what an `exec` task finds in its root
/// (image-spec of Docker 1.2: manifest.json, a configuration, layers).
const ARCHIVE: &str = r#"
    task "archive" {
      lifecycle {
        hook = "prestart"
      }
      driver = "exec"
      config {
        command = "/bin/sh"
        args    = ["-eu", "local/archive.sh"]
      }
      template {
        destination = "local/archive.sh"
        data        = <<-SH
          PATH=/bin
          cd "$NOMAD_ALLOC_DIR"
          roots=
          for root in bin lib lib64 usr; do if [ -e "/$root" ]; then roots="$roots $root"; fi; done
          busybox tar -c -h -f layer.tar -C / $roots
          set -- $(busybox sha256sum layer.tar)
          architecture=$(busybox uname -m | busybox sed 's/x86_64/amd64/; s/aarch64/arm64/')
          echo '{"os": "linux", "architecture": "'$architecture'", "config": {"Cmd": ["/bin/sh"] },' \
            '"rootfs": {"type": "layers", "diff_ids": ["sha256:'$1'"] } }' >config.json
          echo '[{"Config": "config.json", "RepoTags": ["board:1"], "Layers": ["layer.tar"]}]' >manifest.json
          busybox tar -c -f board.tar manifest.json config.json layer.tar
        SH
      }
      resources {
        cpu    = 50
        memory = 64
      }
    }
"#;
