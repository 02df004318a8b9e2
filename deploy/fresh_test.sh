#!/bin/sh
# Do the README's two commands work on a machine that has nothing but what it names? fresh_test.sh [SUITE...] makes bare
# Debians with debootstrap, installs that, copies the committed files, and runs `make demo` and `make test` as a user.
# Needs root and debootstrap. MIRROR is where Debian is, if it is not where debootstrap looks. What pip's configuration and
# the authorities of this machine say goes along, as do folders that packages are read from (FOLDERS).
set -eu
cd "$(dirname "$0")/.."
commands=${COMMANDS:-"demo test"}
named=$(sed -n 's/^.*apt-get install \([a-z0-9 -]*\)`.*$/\1/p' README.md | head -n 1)
[ -n "$named" ] || { echo "README.md names no packages to install" >&2; exit 1; }
[ $# -gt 0 ] || set -- bookworm trixie
# Lazily: what a process still holds must not be there any more when the folders are removed.
take_down() {
    for folder in ${FOLDERS:-} /dev/pts /dev/shm /proc; do umount --lazy "$root$folder" 2> /dev/null || true; done
    rm -rf "$root"
}
for suite in "$@"; do
    root=$(mktemp -d "${TMPDIR:-/tmp}/fresh-$suite.XXXXXX")
    chmod 755 "$root"
    trap take_down EXIT
    echo "Debian $suite with $named" >&2
    debootstrap --variant=minbase --include="$(echo "$named" | tr ' ' ',')" "$suite" "$root" ${MIRROR:-} > "$root.log" \
        || { tail -n 5 "$root.log" >&2; exit 1; }
    rm -f "$root.log"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    for file in /etc/pip.conf /etc/xdg/pip/pip.conf /etc/xdg/pip/constraints.txt /etc/ssl/certs/ca-certificates.crt; do
        if [ -e "$file" ]; then
            mkdir -p "$root$(dirname "$file")"
            cp -L "$file" "$root$file"
        fi
    done
    for folder in ${FOLDERS:-}; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -sf pts/ptmx "$root/dev/ptmx"
    chroot "$root" useradd --create-home newcomer
    mkdir "$root/home/newcomer/project"
    git archive HEAD | tar -x -C "$root/home/newcomer/project"
    chroot "$root" chown -R newcomer /home/newcomer
    for command in $commands; do
        chroot "$root" su newcomer -c "cd ~/project && make $command" || { echo "make $command failed on $suite" >&2; exit 1; }
    done
    take_down
    trap - EXIT
    echo "Debian $suite: make $commands" >&2
done
