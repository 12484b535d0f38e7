#!/usr/bin/env bash
# Installs the Debian packages that tests and benchmarks drive, if they are missing; touches nothing that is there.
# Needs root or sudo only when something is missing. `--list` shows what would be installed and changes nothing;
# `--hid` is about what the virtual machine of `make test-hid` needs beside the rest, and nothing else.
set -euo pipefail
export PATH="${PATH}:/usr/sbin:/sbin"

# program (as found on PATH)   Debian package   what it is for
WANTED='
node               nodejs            independent peers: npm pkarr, key-did-resolver
npm                npm               installs those peers
wrk                wrk               the load in benchmarks and load tests
chromium           chromium          looks at the page of the node
strace             strace            proves that no secret leaves through system calls
gdb                gdb               takes the core dump of a running node
dbus-run-session   dbus              a session bus for the keyring
gnome-keyring-daemon gnome-keyring   a real keyring for the keyring unlock slot
secret-tool        libsecret-tools   reads back what the keyring slot wrote
ip                 iproute2          shows that a namespace has no interface to the network
unshare            util-linux        makes that namespace
curl               curl              other people'"'"'s HTTP client
openssl            openssl           other people'"'"'s TLS client and certificate reader
ssh                openssh-client    logs in through our agent; ssh-add and ssh-keygen come with it
sshd               openssh-server    the server that it logs in to, unprivileged and on loopback
git                git               signs commits through our agent, and verifies them
bash               bash              completion
zsh                zsh               completion
fish               fish              completion
man                man-db            reads the manual pages
groff              groff-base        checks the manual pages
qemu-arm-static    qemu-user-static  runs the code of a Ledger in the emulator of its maker
'

WANTED_HID='
qemu-system-x86_64 qemu-system-x86   the machine in which security keys are plugged in
busybox            busybox-static    the first program of that machine
cpio               cpio              packs its first files
modprobe           kmod              finds the modules that its kernel needs
fido2-token        fido2-tools       other people'"'"'s programs for security keys
ssh-keygen         openssh-client    likewise
udevadm            udev              shows that the rule for security keys is one
'

if [ "${1:-}" = "--hid" ]; then
    WANTED="${WANTED_HID}"
    shift
fi

missing=()
while read -r program package purpose; do
    [ -n "${program}" ] || continue
    if ! command -v "${program}" >/dev/null 2>&1; then
        missing+=("${package}")
        echo "missing: ${program} (${package}): ${purpose}"
    fi
done <<<"${WANTED}"

if [ "${#missing[@]}" -eq 0 ]; then
    echo "every system program that the tests drive is there"
    exit 0
fi
if [ "${1:-}" = "--list" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "this is not a Debian system: install these yourself: ${missing[*]}" >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "not root and no sudo: run as root: apt-get install -y ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "installing with apt-get: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
for pair in $(awk 'NF { print $1 }' <<<"${WANTED}"); do
    command -v "${pair}" >/dev/null 2>&1 || { echo "${pair} is still missing after the installation" >&2; exit 1; }
done
