#!/bin/sh
# Makes the scenarios of this folder with the real pam-auth-update.
# usage: golden.gen.sh CHROOT  (a Debian trixie root with libpam-runtime; needs root and unshare)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
chroot=$1
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true

# Each scenario is a folder: `profiles/`, `calls` (one command line each), `edit` (a sed script run on common-password
# before the last call), and `expected/`.
for scenario in "$here"/*/; do
    rm -rf "$scenario/expected"
    mkdir -p "$scenario/expected"
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare -m sh -eu -c '
        scenario=$1 chroot=$2 work=$(mktemp -d)
        mount -t tmpfs none "$work"
        mkdir "$work/upper" "$work/work" "$work/root"
        mount -t overlay -o "lowerdir=$chroot,upperdir=$work/upper,workdir=$work/work" none "$work/root"
        root=$work/root
        rm -rf "$root/usr/share/pam-configs" "$root"/etc/pam.d/common-* "$root/var/lib/pam"/*
        echo "PURGE" | DPKG_MAINTSCRIPT_PACKAGE=x chroot "$root" debconf-communicate libpam-runtime >/dev/null
        cp -r "$scenario/profiles" "$root/usr/share/pam-configs"
        last=$(sed -n "\$=" "$scenario/calls") line=0
        while read -r call; do
            line=$((line + 1))
            if [ "$line" = "$last" ] && [ -f "$scenario/edit" ]; then
                sed -i -f "$scenario/edit" "$root/etc/pam.d/common-password"
            fi
            chroot "$root" $call </dev/null
        done <"$scenario/calls"
        mkdir "$scenario/expected/pam.d" "$scenario/expected/state"
        cp "$root"/etc/pam.d/common-* "$scenario/expected/pam.d"
        cp "$root"/var/lib/pam/* "$scenario/expected/state"
    ' sh "$scenario" "$chroot"
done
mkdir -p "$here/../pam-templates"
cp "$chroot"/usr/share/pam/common-* "$here/../pam-templates"
rm -f "$here"/../pam-templates/*.md5sums
