#!/bin/sh
# Makes `expected` with the real deb-systemd-helper and systemctl: what each line of `calls` changes below
# /etc/systemd and in the helper's state, over the units of `system/` and `user/` and the presets of `preset/`.
# usage: golden.gen.sh CHROOT  (a Debian trixie root with systemd; needs root and unshare)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2016 # expanded by the inner shell
unshare -m sh -eu -c '
    here=$1 work=$(mktemp -d)
    mount -t tmpfs none "$work"
    mkdir "$work/upper" "$work/work" "$work/root"
    mount -t overlay -o "lowerdir=$2,upperdir=$work/upper,workdir=$work/work" none "$work/root"
    root=$work/root
    rm -rf "$root"/etc/systemd/system/* "$root"/etc/systemd/user/* "$root"/var/lib/systemd/deb-systemd-*
    rm -rf "$root"/usr/lib/systemd/system/* "$root"/usr/lib/systemd/user/*
    cp "$here"/system/* "$root/usr/lib/systemd/system"
    cp "$here"/user/* "$root/usr/lib/systemd/user"
    cp "$here"/preset/* "$root/usr/lib/systemd/system-preset"
    list() {
        (cd "$root" && find etc/systemd/system etc/systemd/user var/lib/systemd -name "deb-systemd-*" -prune -o -type l -print &&
            find var/lib/systemd/deb-systemd-* -type f -print 2>/dev/null) | while read -r path; do
            if [ -L "$root/$path" ]; then
                echo "/$path -> $(readlink "$root/$path")"
            else
                echo "/$path: $(tr "\n" "," <"$root/$path")"
            fi
        done | LC_ALL=C sort
    }
    list >"$work/before"
    while read -r call; do
        status=0
        DPKG_MAINTSCRIPT_PACKAGE=x chroot "$root" $call </dev/null >/dev/null 2>&1 || status=$?
        echo "\$ $call"
        echo "= $status"
        list >"$work/after"
        diff "$work/before" "$work/after" | grep "^[<>]" | LC_ALL=C sort || true
        mv "$work/after" "$work/before"
    done <"$here/calls" >"$here/expected"
' sh "$here" "$1"
