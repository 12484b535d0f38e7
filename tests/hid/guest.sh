#!/bin/bash
# The first program of the guest: loads the modules of the HID stack, starts the plugboard, and runs the tests as a user
# who owns nothing. Arguments: the project, the unpacked kernel, and those of pytest.
root=$1 kernel=$2
shift 2
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
echo "guest up after $(cut -d' ' -f1 /proc/uptime) s: $(uname -r)"

set -o pipefail
tests() {
    for module in uhid hid-generic usbhid configfs dummy_hcd libcomposite usb_f_hid; do
        modprobe -d "$kernel" "$module" || return 90
    done
    busybox ip link set lo up || return 94 # a node listens there; there is no other network
    mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config || return 91
    cd "$root" || return 92
    .venv/bin/python -m tests.hid.plugboard 2>/run/plugboard.log &
    plugboard=$!
    until grep -q ready /run/plugboard.log; do # the host's clock ends a wait that has no end
        kill -0 "$plugboard" || { cat /run/plugboard.log; return 93; }
        sleep 0.1
    done
    # Python may live in somebody's home; this guest's layer is thrown away
    for path in "$root" "$(readlink -f .venv/bin/python)"; do
        while [ "$path" != / ]; do chmod o+x "$path"; path=$(dirname "$path"); done
    done
    mkdir -m 700 /run/tester && chown nobody:nogroup /run/tester
    HOME=/run/tester XDG_RUNTIME_DIR=/run/tester TMPDIR=/run/tester \
        setpriv --reuid nobody --regid nogroup --groups plugdev --no-new-privs --bounding-set -all \
        .venv/bin/python -m pytest -v -o addopts=-ra -o console_output_style=classic --durations 5 --timeout 900 \
        --import-mode=importlib -p no:cacheprovider -p no:xdist -p no:hypothesispytest "$@" | cat # no terminal
}

tests "$@"
code=$?
[ "$code" = 0 ] || { dmesg | tail -n 30; cat /run/plugboard.log; }
echo # the verdict has a line of its own
echo "GUEST-RC $code"
sleep 30 # whoever waits for the verdict has stopped this machine by then; the kernel's last words must not cut into it
echo o >/proc/sysrq-trigger
while :; do :; done
