//! What the boards go through, in order: each boot needs the card that the one before left.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Failed, Trial};
use pkgbuilder::assemble::partitions::Table;

use super::board::Board;
use super::cluster::Node;
use super::http::eventually_while;
use super::machine::{Card, Machine};
use super::network::{Host, Lan, ROUTER};
use super::readme;

pub(crate) const CORE: Host = Host {
    name: "core-1",
    mac: "52:54:00:c0:00:01",
    address: Ipv4Addr::new(10, 77, 0, 11),
    tap: "tap-core",
};
pub(crate) const WORKER: Host = Host {
    name: "worker-7",
    mac: "52:54:00:c0:00:07",
    address: Ipv4Addr::new(10, 77, 0, 17),
    tap: "tap-worker",
};

/// A board in emulation, with everything else that a test machine does at the time: Consul alone took
/// 288 s on a Pi 3 where emulation is half as fast. How long it takes is what `scripts/bench boot` is for.
pub(crate) const READY: Duration = Duration::from_mins(10);
/// A board that is slow in emulation.
pub(crate) const LONG: Duration = Duration::from_mins(15);
/// The target of most images.
pub(crate) const PI: &str = "raspberrypi-arm64";
/// The name of the example job and of its service.
const JOB: &str = "hello";

/// Where the boards run: the images, a folder for what they say, and their LAN.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) repository: PathBuf,
    pub(crate) folder: PathBuf,
    _lan: Lan,
}

impl Site {
    pub(crate) fn new() -> Result<Self> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the crate has a parent folder")?;
        let folder = repository.join("out/e2e");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let lan = Lan::new(&[CORE, WORKER], &folder)?;
        Ok(Self {
            repository: repository.to_owned(),
            folder,
            _lan: lan,
        })
    }

    /// A built image, by the name of its definition and its target.
    pub(crate) fn image(&self, definition: &str, target: &str) -> Result<PathBuf> {
        let image = self.repository.join(format!("out/{definition}-{target}.img.zst"));
        ensure!(
            image.exists(),
            "{} is not there: run scripts/build {definition} first",
            image.display()
        );
        Ok(image)
    }

    /// Builds an image of a definition, with these site settings, in a folder of its own.
    ///
    /// There is no network here: everything is in the cache since scripts/build made the image that people burn.
    pub(crate) fn build(&self, definition: &str, target: &str, settings: &str, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let site = folder.join("site.jsonnet");
        fs::write(&site, settings)?;
        let output = Command::new(self.repository.join("out/bin/pkgbuilder"))
            .current_dir(&self.repository)
            .args(["image", definition, "--quiet", "--locked", "--target", target, "--site"])
            .arg(&site)
            .arg("--out")
            .arg(folder)
            .output()
            .context("running out/bin/pkgbuilder (scripts/build makes it)")?;
        ensure!(
            output.status.success(),
            "pkgbuilder image {definition}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let name = Path::new(definition).file_stem().unwrap_or_default();
        Ok(folder.join(format!("{}-{target}.img.zst", name.display())))
    }

    /// The tests; what a board said is kept if its test fails.
    pub(crate) fn trials(self) -> Vec<Trial> {
        let site = Arc::new(self);
        let trial = |name: &'static str, board: &'static str, test: Test| {
            let site = Arc::clone(&site);
            Trial::test(name, move || {
                let result = test(&site);
                if result.is_ok() {
                    fs::remove_dir_all(site.folder.join(board))?;
                } else {
                    say(&format!(
                        "what the board said is kept in {}",
                        site.folder.join(board).display()
                    ));
                }
                result.map_err(|error| Failed::from(format!("{error:#}")))
            })
        };
        vec![
            trial("a_first_boot_that_is_cut_short", "cut-short", super::data::cut_short),
            trial("first_boot_shutdown_and_power_cut", "core", boots),
            trial("the_same_image_under_another_name_with_secrets", "worker", worker),
            trial("an_arm_machine_with_uefi", "virt", virt),
            trial(
                "a_root_that_rots_is_an_error_and_never_a_wrong_byte",
                "rot",
                super::rot::resets,
            ),
            // Long, or of images that scripts/build does not make by itself: scripts/test --all.
            trial("a_card_without_room_for_data", "full", super::full::card_without_room).with_ignored_flag(true),
            trial(
                "a_first_boot_whose_power_was_cut_anywhere",
                "cuts",
                super::cuts::first_boot_and_growth,
            )
            .with_ignored_flag(true),
            trial("a_commit_whose_power_was_cut_anywhere", "commit", super::cuts::commit).with_ignored_flag(true),
            trial("a_slot_is_tried_and_committed", "slots", super::slots::trial_and_commit).with_ignored_flag(true),
            trial("a_plugin_that_nomad_missed", "plugins", super::plugins::missed).with_ignored_flag(true),
            trial("keys_in_the_settings_open_ssh", "ssh", super::ssh::by_key).with_ignored_flag(true),
            trial("a_pc_is_a_whole_cluster", "pc", pc).with_ignored_flag(true),
            trial("sixty_packages_boot", "sixty", sixty).with_ignored_flag(true),
            trial("a_pi_zero_watches", "zero", zero).with_ignored_flag(true),
            trial("servers_alone", "servers", servers).with_ignored_flag(true),
            trial("jobs_alone", "jobs", jobs).with_ignored_flag(true),
            trial("prometheus_alone", "prometheus", prometheus).with_ignored_flag(true),
        ]
    }
}

type Test = fn(&Site) -> Result<()>;

fn boots(site: &Site) -> Result<()> {
    let Site { repository, folder, .. } = site;
    let image = &site.image("home", PI)?;
    let node = Node::new(CORE.name, CORE.address);
    let job = fs::read_to_string(repository.join("jobs/hello.nomad.hcl")).context("reading jobs/hello.nomad.hcl")?;
    let card = Card::burn(Board::Pi3, image, folder, "core")?;

    say("first boot");
    let mut machine = card.boot(&CORE, 1)?;
    let ids = kept(&mut machine, &node, |machine| {
        ready(machine, &node)?;
        node.submit(4646, &job)?;
        wait(machine, "the job", READY, || node.job_answers(JOB).map(drop))?;
        readme::commands(repository, image, ROUTER, folder)?;
        healthy(machine)?;
        critical_chain(machine)?;
        timer_slack(machine, "50000")?;
        slots(machine)?;
        node.ids()
    })?;

    say("orderly shutdown, second boot");
    machine
        .run("systemctl --no-block poweroff", Duration::from_secs(30))
        .context("shutting down")?;
    machine.wait_for("reboot: Power", Duration::from_mins(3))?;
    machine.cut_power()?;
    let mut machine = card.boot(&CORE, 2)?;
    kept(&mut machine, &node, |machine| {
        same(machine, &node, &ids)?;
        // As Nomad writes its ids: the sync of another file puts the name of this one into the journal.
        let unsynced = "echo whole >/var/lib/unsynced; echo x >/var/lib/synced; sync /var/lib/synced";
        machine.run(unsynced, Duration::from_mins(1)).map(drop)
    })?;

    say("power cut, third boot");
    machine.cut_power()?;
    let mut machine = card.boot(&CORE, 3)?;
    kept(&mut machine, &node, |machine| {
        same(machine, &node, &ids)?;
        let kept = machine.run("cat /var/lib/unsynced", Duration::from_mins(1))?;
        ensure!(
            kept.trim() == "whole",
            "a file that was not synced holds `{}`",
            kept.trim()
        );
        Ok(())
    })?;
    machine.cut_power()?;
    Ok(())
}

/// The fresh card's only system runs, starts, and has come up well; there is nothing to try.
fn slots(machine: &mut Machine) -> Result<()> {
    let began = Instant::now();
    loop {
        let slots = super::slots::status(machine)?;
        ensure!(slots["running"] == "a" && slots["committed"] == "a", "{slots}");
        let other = slots["other"].as_str().unwrap_or_default();
        ensure!(other.contains("no root of its own"), "{slots}");
        // computatom-well.timer, a minute after the agent.
        if slots["failed"] == serde_json::json!([0, 0]) {
            return Ok(());
        }
        ensure!(began.elapsed() < READY, "no boot of slot a is seen to go well: {slots}");
        std::thread::sleep(Duration::from_secs(5));
    }
}

/// Another board with the same image: the secrets that its card was burned with are on DATA and gone from the first partition;
/// I2C and SPI have their devices.
fn worker(site: &Site) -> Result<()> {
    const KEY: &str = "correct horse battery";
    let text = format!("{{\"wifi\": {{\"ssid\": \"attic\", \"psk\": \"{KEY}\"}}}}\n");
    say("another board with the same image, its card burned with secrets");
    let image = site.image("home", PI)?;
    let card = Card::burn_with_secrets(Board::Pi3, &image, &site.folder, "worker", &text)?;
    ensure!(
        holds(&card, KEY)?,
        "the secrets are not on the first partition of the card"
    );
    let node = Node::new(WORKER.name, WORKER.address);
    let mut machine = card.boot(&WORKER, 1)?;
    kept(&mut machine, &node, |machine| {
        is_worker(machine, &node)?;
        let limit = Duration::from_mins(1);
        let kept = machine.run("stat -c '%a %u %s' /var/lib/computatom/secrets.json", limit)?;
        ensure!(kept.trim() == format!("600 0 {}", text.len()), "DATA has: {kept}");
        let supplicant = machine.run("stat -c %a /etc/wpa_supplicant/wpa_supplicant-wlan0.conf", limit)?;
        ensure!(supplicant.trim() == "600", "wpa_supplicant reads: {supplicant}");
        let said = machine.run(&format!("journalctl -b --no-pager | grep -c '{KEY}'"), limit)?;
        // The shell's own echo is on the console, not in the journal.
        ensure!(said.trim() == "0", "the journal has the key {said} times");
        let devices = machine.run("ls /dev/i2c-1 /dev/spidev0.0 /dev/spidev0.1", limit)?;
        ensure!(devices.split_whitespace().count() == 3, "there are: {devices}");
        machine.run("sync", limit).map(drop)
    })?;
    machine.cut_power()?;
    ensure!(
        !holds(&card, KEY)?,
        "the key is still on the first partition of the card"
    );
    Ok(())
}

/// Whether a text is anywhere on the first partition of a card.
fn holds(card: &Card, text: &str) -> Result<bool> {
    let file = fs::File::open(&card.image)?;
    let first = Table::read(&file)?.get(1)?;
    let mut bytes = vec![0; usize::try_from(first.size)?];
    file.read_exact_at(&mut bytes, first.start)?;
    Ok(bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// It has the name and the role of another board than the one that the same image is elsewhere.
fn is_worker(machine: &mut Machine, node: &Node) -> Result<()> {
    wait(machine, "the other name", READY, || {
        let name = node.get(4690, "/status.json")?["identity"]["hostname"].clone();
        ensure!(name == WORKER.name, "the board calls itself {name}");
        Ok(())
    })?;
    let hostname = machine.run("hostname", Duration::from_secs(30))?;
    ensure!(hostname.trim() == WORKER.name, "its host name is `{}`", hostname.trim());
    let status = node.get(4690, "/status.json")?;
    ensure!(
        status["assignment"]["roles"] == serde_json::json!(["client"]),
        "its roles are {}",
        status["assignment"]
    );
    Ok(())
}

/// All roles on one machine with UEFI.
fn pc(site: &Site) -> Result<()> {
    whole_cluster(site, Board::Pc(1536), "uefi-amd64", "pc")
}

fn virt(site: &Site) -> Result<()> {
    whole_cluster(site, Board::Virt(1536), "uefi-arm64", "virt")
}

fn whole_cluster(site: &Site, board: Board, target: &str, folder: &str) -> Result<()> {
    say(&format!("vm for {target}"));
    let node = Node::new(CORE.name, CORE.address);
    let card = Card::burn(board, &site.image("vm", target)?, &site.folder, folder)?;
    let mut machine = card.boot(&CORE, 1)?;
    // What Nomad has written by then it has not synced.
    let ids = kept(&mut machine, &node, |machine| {
        wait(machine, "Nomad", READY, || node.nomad_ready())?;
        node.ids()
    })?;
    say("power cut as soon as the node is one, second boot");
    machine.cut_power()?;
    let mut machine = card.boot(&CORE, 2)?;
    kept(&mut machine, &node, |machine| {
        ready(machine, &node)?;
        let now = node.ids()?;
        ensure!(now == ids, "the node ids were {ids:?} and are {now:?}");
        healthy(machine)?;
        critical_chain(machine)?;
        timer_slack(machine, "1000000")?;
        super::ssh::closed(&node)?;
        shown(machine, &node)
    })
}

/// The console says who the node is, how it is, what it runs from and how to reach it, and asks for no login.
fn shown(machine: &mut Machine, node: &Node) -> Result<()> {
    let lines = [
        format!("{}  {}  server, client, monitor", node.name, node.address),
        "  slot      a runs and starts".to_owned(),
        format!("  page      http://{}:4690/", node.address),
        "  ssh       off: the site settings hold no keys".to_owned(),
        "  ok  prometheus".to_owned(),
        "  ready for jobs".to_owned(),
    ];
    for line in lines {
        machine.wait_for(&line, READY)?;
    }
    ensure!(!machine.console().contains("login:"), "the console asks for a login");
    Ok(())
}

/// What people put on such nodes, in one system: no unit fails.
fn sixty(site: &Site) -> Result<()> {
    say("sixty packages");
    let node = Node::new(CORE.name, CORE.address);
    let image = site.image("sixty", "uefi-arm64")?;
    let mut machine = Card::burn(Board::Virt(3072), &image, &site.folder, "sixty")?.boot(&CORE, 1)?;
    kept(&mut machine, &node, |machine| {
        machine.wait_for("multi-user.target", LONG)?;
        healthy(machine)
    })
}

/// Prometheus and a Consul client on the smallest board.
fn zero(site: &Site) -> Result<()> {
    say("a Pi Zero");
    let node = Node::new(WORKER.name, WORKER.address);
    let image = site.image("zero", "raspberrypi-armel")?;
    let mut machine = Card::burn(Board::Zero, &image, &site.folder, "zero")?.boot(&WORKER, 1)?;
    kept(&mut machine, &node, |machine| {
        wait(machine, "Prometheus", LONG, || node.prometheus_answers())?;
        healthy(machine)
    })
}

/// The image of servers, alone: a cluster without a place for jobs.
fn servers(site: &Site) -> Result<()> {
    only(site, "core", "servers", CORE, "server", |machine, node| {
        wait(machine, "Consul", LONG, || node.consul_ready())?;
        wait(machine, "Nomad's servers", LONG, || node.nomad_serves())?;
        wait(machine, "Nomad in Consul's DNS", LONG, || {
            node.resolves("nomad.service.consul")
        })?;
        wait(machine, "the node", LONG, || {
            let status = node.get(4690, "/status.json")?;
            ensure!(
                status["waits_for"] == serde_json::json!([]),
                "it waits for {}",
                status["waits_for"]
            );
            Ok(())
        })
    })
}

/// The image for jobs, alone: all of it runs, and it says that it misses its servers.
fn jobs(site: &Site) -> Result<()> {
    only(site, "client", "jobs", WORKER, "client", |machine, node| {
        wait(machine, "Nomad's client", LONG, || node.nomad_client().map(drop))?;
        // The unit is of the type that says itself when it is ready.
        wait_for_unit(machine, "docker.service")?;
        misses_servers(machine, node, &["consul", "nomad client"])
    })
}

/// The image for Prometheus, alone: it watches itself.
fn prometheus(site: &Site) -> Result<()> {
    only(site, "monitor", "prometheus", WORKER, "monitor", |machine, node| {
        wait(machine, "Prometheus", LONG, || node.prometheus_answers())?;
        wait(machine, "its targets", LONG, || {
            node.scraped(&["node", "agent", "prometheus"])
        })?;
        misses_servers(machine, node, &["consul"])
    })
}

/// An image for one of the roles, on a board of its own: it has that role and no other, what `steps` asks for, and no
/// unit that failed.
fn only(
    site: &Site,
    image: &str,
    folder: &str,
    host: Host,
    role: &str,
    steps: impl FnOnce(&mut Machine, &Node) -> Result<()>,
) -> Result<()> {
    say(image);
    let node = Node::new(host.name, host.address);
    let mut machine = Card::burn(Board::Pi3, &site.image(image, PI)?, &site.folder, folder)?.boot(&host, 1)?;
    kept(&mut machine, &node, |machine| {
        wait(machine, "the agent", LONG, || {
            let status = node.get(4690, "/status.json")?;
            ensure!(
                status["identity"]["hostname"] == host.name
                    && status["assignment"]["roles"] == serde_json::json!([role]),
                "the board is {} and {}",
                status["identity"],
                status["assignment"]
            );
            Ok(())
        })?;
        steps(machine, &node)?;
        healthy(machine)
    })
}

/// Waits until a unit is active.
fn wait_for_unit(machine: &mut Machine, unit: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let state = machine.run(&format!("systemctl is-active {unit}"), Duration::from_mins(1))?;
        if state.trim() == "active" {
            return Ok(());
        }
        ensure!(began.elapsed() < LONG, "{unit} is {}", state.trim());
        std::thread::sleep(Duration::from_secs(5));
    }
}

/// What the node says of itself: only `services` do not do their work, and a person learns which server to look at.
fn misses_servers(machine: &mut Machine, node: &Node, services: &[&str]) -> Result<()> {
    wait(machine, "what the node says", LONG, || {
        let status = node.get(4690, "/status.json")?;
        let checks = status["checks"].as_array().context("the node has no checks")?;
        let unhealthy: Vec<_> = checks.iter().filter(|check| check["healthy"] != true).collect();
        let names: Vec<_> = unhealthy.iter().filter_map(|check| check["service"].as_str()).collect();
        ensure!(names == services, "unhealthy are {unhealthy:?}");
        let waits = status["waits_for"].to_string();
        ensure!(
            waits.contains(&format!("the server is `{}`: is it up?", CORE.name)),
            "it waits for {waits}"
        );
        Ok(())
    })
}

/// Everything a user would look at is up.
fn ready(machine: &mut Machine, node: &Node) -> Result<()> {
    wait(machine, "Consul", READY, || node.consul_ready())?;
    wait(machine, "Nomad", READY, || node.nomad_ready())?;
    wait(machine, "the services", READY, || node.services_ready())?;
    wait(machine, "Prometheus", READY, || node.prometheus_ready())
}

/// The node that came back is the one that went.
fn same(machine: &mut Machine, node: &Node, ids: &(String, String)) -> Result<()> {
    ready(machine, node)?;
    let now = node.ids()?;
    ensure!(now == *ids, "the node ids were {ids:?} and are {now:?}");
    wait(machine, "the job", READY, || node.job_answers(JOB).map(drop))?;
    healthy(machine)
}

/// The root is read-only, and no unit has failed.
pub(crate) fn healthy(machine: &mut Machine) -> Result<()> {
    let limit = Duration::from_mins(1);
    let mounted = machine.run("findmnt -no FSTYPE,OPTIONS /", limit)?;
    let mut words = mounted.split_whitespace();
    let (kind, options) = (words.next(), words.next().unwrap_or_default());
    ensure!(
        kind == Some("squashfs") && options.split(',').any(|option| option == "ro"),
        "/ is mounted as {mounted}"
    );
    let write = machine.run("touch /usr/written && echo written || echo refused", limit)?;
    ensure!(
        write.contains("refused") && !write.contains("\nwritten"),
        "/usr was written to: {write}"
    );
    let memory = machine.run("grep VmRSS /proc/$(pidof computatom-agent)/status", limit)?;
    let resident = memory
        .split_whitespace()
        .nth(1)
        .with_context(|| format!("the agent does not run: {memory}"))?;
    say(&format!("the agent holds {resident} KiB"));
    let state = machine.run(
        "systemctl is-system-running --wait; systemctl list-units --failed --no-legend --plain",
        READY,
    )?;
    let lines: Vec<&str> = state.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ensure!(lines == ["running"], "systemd says: {lines:?}");
    Ok(())
}

/// Nomad does not wait for Docker (docs/boot.md); what it waits for is told with its times.
fn critical_chain(machine: &mut Machine) -> Result<()> {
    let chain = machine.run(
        "SYSTEMD_COLORS=0 systemd-analyze critical-chain --no-pager nomad.service",
        Duration::from_mins(1),
    )?;
    say(&chain);
    let slowest = machine.run("systemd-analyze blame --no-pager | head -n 12", Duration::from_mins(1))?;
    say(&format!("what took longest:\n{slowest}"));
    // No failure: they are to come back by themselves. Why one ended is in its words.
    let restarted = machine.run(
        "for unit in consul nomad prometheus; do [ \"$(systemctl show --property NRestarts --value $unit)\" = 0 ] || \
         journalctl -b --no-pager -o short-monotonic -u $unit; done",
        Duration::from_mins(2),
    )?;
    if !restarted.trim().is_empty() {
        say(&format!("restarted:\n{restarted}"));
    }
    ensure!(
        chain.contains("nomad.service") && !chain.contains("docker"),
        "Nomad waits for: {chain}"
    );
    modules_of_nomad(machine)?;
    let after = answer(machine, "systemctl show --property After --value consul.service")?;
    ensure!(
        after.contains("computatom-identity.service") && !after.contains("sysinit.target"),
        "Consul starts after {after}"
    );
    Ok(())
}

/// How much longer systemd and what it starts may sleep than they ask for, in nanoseconds: as `/init` was told, or the kernel's own.
fn timer_slack(machine: &mut Machine, expected: &str) -> Result<()> {
    let consul = "$(systemctl show --property MainPID --value consul.service)";
    let told = answer(
        machine,
        &format!("cat /proc/1/timerslack_ns /proc/{consul}/timerslack_ns"),
    )?;
    let told: Vec<&str> = told.split_whitespace().collect();
    ensure!(
        told == [expected; 2],
        "systemd's and Consul's slack of timers: {told:?}"
    );
    Ok(())
}

/// The kernel's modules that Nomad wants are loaded by its own unit, and nothing waits for them before.
fn modules_of_nomad(machine: &mut Machine) -> Result<()> {
    let lists = answer(
        machine,
        "systemctl show --property ConditionTimestampMonotonic,ConditionResult systemd-modules-load.service",
    )?;
    ensure!(
        lists.contains("ConditionResult=no") && !lists.contains("Monotonic=0"),
        "whether systemd-modules-load.service has lists to load: {lists}"
    );
    let loaded = answer(
        machine,
        "systemctl show --property ExecStartPre --value nomad.service | grep modprobe",
    )?;
    ensure!(
        loaded.contains("code=exited ; status=0"),
        "modprobe for Nomad: {loaded}"
    );
    // What is built into a kernel is no module of it, and has a folder there all the same.
    let modules = answer(machine, "cd /sys/module && ls -d bridge br_netfilter overlay veth")?;
    ensure!(modules.split_whitespace().count() == 4, "modules for Nomad: {modules}");
    let filtered = answer(machine, "cat /proc/sys/net/bridge/bridge-nf-call-iptables")?;
    ensure!(filtered == "1", "bridges ask iptables: {filtered}");
    Ok(())
}

/// What a command prints, without the line's end.
fn answer(machine: &mut Machine, command: &str) -> Result<String> {
    Ok(machine.run(command, Duration::from_mins(1))?.trim().to_owned())
}

/// Keeps the journal and the answers of a boot that went wrong.
pub(crate) fn kept<T>(machine: &mut Machine, node: &Node, steps: impl FnOnce(&mut Machine) -> Result<T>) -> Result<T> {
    let result = steps(machine);
    if result.is_err() {
        for (name, command) in [
            ("journal.txt", "journalctl -b --no-pager -o short-monotonic"),
            (
                "units.txt",
                "systemctl --no-pager --all list-units; systemctl --no-pager status '*'",
            ),
            ("run.txt", "head -n 200 /run/computatom/*.json /run/computatom/*/*"),
        ] {
            let text = machine
                .run(command, Duration::from_secs(90))
                .unwrap_or_else(|error| format!("{error:#}"));
            let _ = fs::write(machine.folder.join(name), text);
        }
        for (name, port, path) in [
            ("members.json", 8500, "/v1/agent/members"),
            ("services.json", 8500, "/v1/catalog/services"),
            ("checks.json", 8500, "/v1/health/state/any"),
            ("nodes.json", 4646, "/v1/nodes"),
            ("allocations.json", 4646, "/v1/allocations"),
            ("targets.json", 9090, "/api/v1/targets"),
            ("status.json", 4690, "/status.json"),
        ] {
            let text = node.text(port, path).unwrap_or_else(|error| format!("{error:#}"));
            let _ = fs::write(machine.folder.join(name), text);
        }
    }
    result
}

/// Asks again until it is so; the last refusal is the error.
pub(crate) fn wait(
    machine: &mut Machine,
    what: &str,
    limit: Duration,
    check: impl FnMut() -> Result<()>,
) -> Result<()> {
    eventually_while(limit, || machine.running(), check).with_context(|| format!("waiting for {what}"))?;
    say(&format!("{what} after {} s", machine.began.elapsed().as_secs()));
    Ok(())
}

#[allow(clippy::print_stderr, reason = "progress of a long test")]
pub(crate) fn say(text: &str) {
    eprintln!("e2e: {text}");
}
