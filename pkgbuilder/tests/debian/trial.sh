#!/bin/sh
# Runs once in a plain Debian, as root, without network: installs, upgrades, removes and purges the packages in /trial.
# Each step prints its name, its output and its exit code; the test outside knows what is expected.
# Commands are text that `step` evaluates, which shellcheck cannot see.
# shellcheck disable=SC2016,SC2034
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 NO_COLOR=1
cd /trial || exit 1

# step NAME COMMAND: the command is shell text.
step() {
  echo "== $1"
  (eval "$2") 2>&1
  echo "-- $?"
}

# until SECONDS COMMAND: repeats a command until it succeeds.
until_ok() {
  end=$(($(cut -d. -f1 /proc/uptime) + $1))
  until eval "$2"; do
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || return 1
    sleep 1
  done
}

pid() { systemctl show --property=MainPID --value "$1"; }
runs() { systemctl is-enabled "$1"; systemctl is-active "$1"; ps -o user= -p "$(pid "$1")"; }
api() { curl --silent --fail --max-time 10 "http://127.0.0.1:$1"; }
leads() { api "$1/v1/status/leader" | grep -q '"[0-9.]*:'; }

# A Nomad client alone, with neither Consul nor a server.
step programs-only 'apt-get -qq -y -o Dpkg::Use-Pty=0 install ./nomad_*.deb; systemctl is-enabled nomad; systemctl is-active nomad'
step client 'apt-get -qq -y -o Dpkg::Use-Pty=0 install ./nomad_*.deb ./nomad-config-client_*.deb'
step client-runs 'until_ok 400 "api 4646/v1/agent/self >/dev/null"; runs nomad'
step client-is-client 'api 4646/v1/agent/self | grep -o "\"ACLEnabled\"\|\"client\":{" | sort -u; cat /etc/nomad.d/10-role.hcl | grep -c "^client {"'

# A Consul server with a gossip key.
step consul 'apt-get -qq -y -o Dpkg::Use-Pty=0 install ./consul_*.deb ./consul-config-server_*.deb ./consul-config-local_*.deb'
step consul-leads 'until_ok 180 "leads 8500"; runs consul'
step consul-is-encrypted 'consul info | grep "encrypted = "'
step key-files 'stat -c "%U:%G %a %n" /etc/consul.d/*; setpriv --reuid=nobody --regid=nogroup --clear-groups cat /etc/consul.d/20-local.hcl >/dev/null'

# Names under .consul on this machine, by each resolver that it may have; `getent` asks as every program does. The
# network's own name server is one that knows a single name.
names() { getent ahostsv4 "$1" | cut -d " " -f 1 | sort -u; }
dns() { ./pkgbuilder dns "$@" 2>&1; }
# systemd-resolved has it of networkd only, and forgets what it is told when it starts again.
lan_dns() { resolvectl dns "$(ip -o route show default | grep -o "dev [^ ]*" | cut -d " " -f 2)" 10.0.2.15:5300; }
step lan-names 'systemctl stop dnsmasq; dnsmasq --conf-file=/dev/null --port=5300 --listen-address=10.0.2.15 --bind-interfaces --no-resolv --no-hosts --address=/printer.lan/192.0.2.7 && lan_dns; until_ok 30 "names printer.lan | grep ."'
step resolved-without 'dns show; names consul.service.consul | grep .'
step resolved-dry 'dns install --server 127.0.0.1:8600; ls /etc/systemd/resolved.conf.d'
step resolved 'dns install --server 127.0.0.1:8600 --yes && dns show'
step resolved-names 'until_ok 30 "names consul.service.consul | grep -q ." && names consul.service.consul'
step resolved-others 'lan_dns; names printer.lan'
step resolved-removed 'dns remove --yes || exit 9; ls /etc/systemd/resolved.conf.d; names consul.service.consul | grep .'
step dnsmasq 'systemctl disable --now systemd-resolved; rm -f /etc/resolv.conf; echo nameserver 127.0.0.1 >/etc/resolv.conf; echo server=10.0.2.15#5300 >/etc/dnsmasq.d/lan.conf; systemctl start dnsmasq && names printer.lan'
step dnsmasq-without 'dns show; names consul.service.consul | grep .'
step dnsmasq-installed 'dns install --server 127.0.0.1:8600 --yes && dns show'
step dnsmasq-names 'until_ok 30 "names consul.service.consul | grep -q ." && names consul.service.consul; names printer.lan'
step dnsmasq-removed 'dns remove --yes || exit 9; names consul.service.consul | grep .'

# The client becomes a server: another package, another user, a sandbox.
step server 'apt-get -qq -y -o Dpkg::Use-Pty=0 install ./nomad-config-server_*.deb ./nomad-config-local_*.deb'
step server-leads 'until_ok 240 "leads 4646"; runs nomad'
step server-is-alone 'dpkg-query -W -f "\${Package} \${Status}\n" "nomad-config-*"; grep -c "^server {" /etc/nomad.d/10-role.hcl; grep -c "^client {" /etc/nomad.d/10-role.hcl'
step server-data 'stat -c "%U:%G %a" /var/lib/nomad; stat -c "%U:%G %a %n" /etc/nomad.d/*'
step sandboxes 'for unit in consul nomad; do systemd-analyze security --no-pager --threshold=20 $unit.service >/run/judged || exit 1; tail -n 1 /run/judged; done'

# A wireless network, on a machine that has neither of its programs.
step wifi 'apt-get -qq -y -o Dpkg::Use-Pty=0 install ./wifi-local_*.deb; stat -c "%U:%G %a" /etc/wpa_supplicant/wpa_supplicant-wlan0.conf /etc/NetworkManager/system-connections/wifi-local.nmconnection'

# An upgrade restarts what runs and keeps its data.
step write 'consul kv put trial kept; api 4646/v1/regions'
consul_pid=$(pid consul) nomad_pid=$(pid nomad)
step upgrade 'dpkg -i ./consul_*.deb ./nomad_*.deb'
step upgraded 'until_ok 180 "leads 8500"; until_ok 240 "leads 4646"; [ "$(pid consul)" != "$consul_pid" ] && [ "$(pid nomad)" != "$nomad_pid" ] && consul kv get trial && runs consul && runs nomad'
consul_pid=$(pid consul)
step no-restart 'dpkg -i ./wifi-local_*.deb; [ "$(pid consul)" = "$consul_pid" ]'
step new-settings 'dpkg -i ./consul-config-local_*.deb; [ "$(pid consul)" != "$consul_pid" ] && until_ok 180 "leads 8500" && consul kv get trial && stat -c "%U:%G %a" /etc/consul.d/20-local.hcl'

# No key in what the machine says.
step journal 'journalctl --no-pager | grep -c -F "$(cat key)"'

# Removing keeps settings and data, purging does not.
step remove 'apt-get -qq -y -o Dpkg::Use-Pty=0 remove consul nomad; systemctl is-failed consul nomad; command -v consul nomad'
step removed 'ls /var/lib/consul | grep -c . ; ls /var/lib/nomad | grep -c . ; ls /etc/consul.d /etc/nomad.d'
step again 'apt-get -qq -y -o Dpkg::Use-Pty=0 install ./consul_*.deb ./consul-config-server_*.deb ./consul-config-local_*.deb; until_ok 180 "leads 8500"; consul kv get trial'
step purge 'apt-get -qq -y -o Dpkg::Use-Pty=0 purge "consul*" "nomad*" wifi-local'
step purged 'find /etc/consul.d /etc/nomad.d /etc/wpa_supplicant /etc/NetworkManager /var/lib/consul /var/lib/nomad -type f -o -type l; systemctl is-enabled consul nomad; ls /etc/systemd/system/multi-user.target.wants | grep -c "consul\|nomad"'
step secrets-gone 'grep -r -l -F "$(cat key)" /etc /var/lib /var/cache /var/log /usr/share/doc'
echo "== end"
