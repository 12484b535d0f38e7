#!/bin/bash
# The first program of the guest: loads the modules of the HID stack, starts the plugboard, and runs the tests as a user
# who owns nothing. Arguments: the project, the unpacked kernel, and options for pytest.
root=$1 kernel=$2
shift 2
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
echo "guest up after $(cut -d' ' -f1 /proc/uptime) s: $(uname -r)"

tests() {
    for module in uhid hid-generic usbhid configfs dummy_hcd libcomposite usb_f_hid; do
        modprobe -d "$kernel" "$module" || return 90
    done
    mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config || return 91
    cd "$root" || return 92
    .venv/bin/python -m tests.hid.plugboard 2>/run/plugboard.log &
    for _ in $(seq 300); do grep -q ready /run/plugboard.log && break; sleep 0.1; done
    grep -q ready /run/plugboard.log || { cat /run/plugboard.log; return 93; }
    # Python may live in somebody's home; this guest's layer is thrown away
    for path in "$root" "$(readlink -f .venv/bin/python)"; do
        while [ "$path" != / ]; do chmod o+x "$path"; path=$(dirname "$path"); done
    done
    mkdir -m 700 /run/tester && chown nobody:nogroup /run/tester
    HOME=/run/tester XDG_RUNTIME_DIR=/run/tester TMPDIR=/run/tester \
        setpriv --reuid nobody --regid nogroup --groups plugdev --no-new-privs --bounding-set -all \
        .venv/bin/python -m pytest tests/hid/guest_peers.py tests/hid/guest_stories.py -q -o addopts=-ra \
        --import-mode=importlib -p no:cacheprovider -p no:xdist -p no:hypothesispytest "$@"
}

tests "$@"
echo "GUEST-RC $?"
echo o >/proc/sysrq-trigger
while :; do :; done # nothing from disk: it may be gone already
