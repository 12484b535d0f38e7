"""Boots a Debian kernel under QEMU and runs the tests of security keys in it, on a true HID stack.

The guest sees this machine's files, read-only, below a layer that is thrown away. Its kernel, from Debian's package, is
unpacked into .work/hid and installed nowhere. No hardware virtualization, no root and no network is used. What the
guest prints at its end decides: no line with its exit code, no success, and a test that was left out is none either.
"""

from __future__ import annotations

import compileall
import contextlib
import getpass
import gzip
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".work" / "hid"
TIME_LIMIT_S = int(os.environ.get("HID_TIME_LIMIT_S", "2400"))
"""How long the guest may run on a busy machine; on a quiet one it is done in four or five minutes."""

BOOT_LIMIT_S = 600
"""How long it may take until its first program runs; usually it is 5 s."""

MEMORY_MIB = 1536
GUEST_TESTS = tuple(
    f"tests/hid/guest_{name}.py" for name in ("peers", "trezor", "ledger", "assertions", "approvals", "ssh", "stories")
)
"""In this order: what others wrote goes first. `guest.sh` runs them."""

META_PACKAGE = "linux-image-amd64"
KERNEL_OPTIONS = (
    "console=ttyS0 quiet loglevel=1 panic=-1 nowatchdog mitigations=off"
    " no_timer_check rcupdate.rcu_cpu_stall_suppress=1"  # a busy host lets the guest's clocks stand still
)
SUMMARY = re.compile(r"^=* ?((\d+ [a-z]+[, ]*)+ in [\d.]+s.*?) ?=*$")
LEFT_OUT = re.compile(r"skipped|deselected|xfailed|xpassed|no tests")
VERDICT = re.compile(r"^GUEST-RC (\d+)\s*$")
UNPACKED = [
    "./boot/vmlinuz-*",
    "./lib/modules/*/modules.*",
    *(
        f"./lib/modules/*/kernel/{part}/*"
        for part in (
            "drivers/usb", "drivers/hid", "drivers/virtio", "drivers/char", "fs/9p", "fs/netfs", "fs/fscache",
            "fs/overlayfs", "fs/configfs", "net/9p", "crypto", "lib",
        )
    ),
]  # fmt: skip
"""What of the kernel's package is used; the rest is 300 MB."""

BOOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""Modules without which the guest does not see a file."""

INIT = r"""#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /host /layer /new
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
while read module; do $b insmod /modules/$module || $b echo "cannot load $module"; done < /modules.list
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose host /host || $b echo "no files of the host"
$b mount -t tmpfs tmpfs /layer; $b mkdir -p /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /new
for directory in proc sys dev; do $b mkdir -p /new/$directory; $b mount --move /$directory /new/$directory; done
$b mkdir -p /new/dev/pts /new/dev/shm
$b mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /new/dev/pts
$b mount -t tmpfs tmpfs /new/run; $b mount -t tmpfs tmpfs /new/dev/shm; $b mount -t tmpfs -o mode=1777 tmpfs /new/tmp
if [ ! -d /newROOT ]; then  # the project lies where something was just mounted
    $b mkdir -p /newROOT /layer/project /layer/project-work
    $b mount -t overlay -o lowerdir=/hostROOT,upperdir=/layer/project,workdir=/layer/project-work overlay /newROOT
fi
exec $b switch_root /new /bin/bash ROOT/tests/hid/guest.sh "$@" TESTS
"""


class CannotRunError(Exception):
    """What the virtual machine needs is not there; the text says what, and what helps."""


def kernel() -> tuple[Path, str]:
    """Return the directory of the unpacked kernel and its version; fetch it from Debian if it is not there."""
    tree = WORK / "kernel"
    marker = WORK / "kernel.version"
    if marker.exists():
        return tree, marker.read_text()
    shutil.rmtree(WORK, ignore_errors=True)
    tree.mkdir(parents=True)
    archive = fetch()
    unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE)
    subprocess.run(["tar", "x", "-C", str(tree), "--wildcards", *UNPACKED], stdin=unpack.stdout, check=True)
    if unpack.wait() != 0:
        raise CannotRunError(f"the package of the kernel cannot be unpacked: {archive.name}")
    archive.unlink()
    (image,) = (tree / "boot").glob("vmlinuz-*")
    version = image.name.removeprefix("vmlinuz-")
    # Debian's index names modules that were left out; depmod counts what is there.
    subprocess.run([_tool("depmod"), "-b", str(tree), version], check=True, stderr=subprocess.DEVNULL)
    marker.write_text(version)
    return tree, version


def fetch() -> Path:
    """Download the package that `META_PACKAGE` stands for; where apt does not find it, once more with new lists."""
    apt_get, apt_cache = _tool("apt-get"), _tool("apt-cache")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    said = ""
    for attempt in range(2):
        if attempt:
            print("apt does not find the kernel: fetching its lists anew", flush=True)
            with contextlib.suppress(OSError):  # no sudo: what was said before is told
                subprocess.run([*as_root, apt_get, "update", "-q"], stdout=subprocess.DEVNULL, check=False)
        shown = subprocess.run([apt_cache, "depends", META_PACKAGE], capture_output=True, text=True, check=False)
        packages = re.findall(r"Depends: (linux-image-\S+)", shown.stdout)
        said = shown.stderr
        if not packages:
            continue
        print(f"fetching {packages[0]} from Debian", flush=True)
        command = [apt_get, "download", "-q", "-o", f"APT::Sandbox::User={getpass.getuser()}", packages[0]]
        done = subprocess.run(command, cwd=WORK, capture_output=True, text=True, check=False)
        said = done.stderr
        if done.returncode == 0:
            return next(WORK.glob("*.deb"))
    raise CannotRunError(
        f"the kernel ({META_PACKAGE}) cannot be had from Debian: {said.strip() or 'apt knows of none'}"
    )


def initramfs(tree: Path, version: str) -> Path:
    """Pack the guest's first files: busybox, the modules that it needs to see ours, and `INIT`."""
    packed = WORK / "initramfs.gz"
    files = WORK / "initramfs"
    shutil.rmtree(files, ignore_errors=True)
    (files / "bin").mkdir(parents=True)
    (files / "modules").mkdir()
    shutil.copy(_tool("busybox"), files / "bin" / "busybox")
    loaded: dict[str, None] = {}
    for module in BOOT_MODULES:
        shown = subprocess.run(
            [_tool("modprobe"), "-d", str(tree), "-S", version, "--show-depends", module],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        loaded |= dict.fromkeys(re.findall(r"^insmod (\S+)", shown, re.MULTILINE))
    for path in loaded:
        shutil.copy(path, files / "modules")
    (files / "modules.list").write_text("".join(f"{Path(path).name}\n" for path in loaded))
    init = files / "init"
    init.write_text(INIT.replace("ROOT", str(ROOT)).replace("TESTS", " ".join(GUEST_TESTS)))
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(files)) for path in sorted(files.rglob("*")))
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], cwd=files, input=names.encode(), capture_output=True, check=True
    ).stdout
    packed.write_bytes(gzip.compress(archive, 1))
    return packed


def _tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise CannotRunError(f"there is no {name}: scripts/setup-system.sh --hid installs it on Debian")
    return path


def boot(tree: Path, version: str, packed: Path, arguments: Sequence[str]) -> tuple[int | None, str]:
    """Run the guest and show what it says; return its exit code, None if it did not say any, and its last line."""
    shared = "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
    words = " ".join([f"{KERNEL_OPTIONS} rdinit=/init --", str(ROOT), str(tree), *arguments])
    command = [
        "nice", _tool("qemu-system-x86_64"), "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-m", str(MEMORY_MIB), "-smp", "2", "-nographic", "-no-reboot", "-net", "none",
        "-kernel", str(tree / "boot" / f"vmlinuz-{version}"), "-initrd", str(packed),
        "-virtfs", shared, "-append", words,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    alarms = [threading.Timer(limit_s, process.kill) for limit_s in (BOOT_LIMIT_S, TIME_LIMIT_S)]
    for alarm in alarms:
        alarm.start()
    summary = "no tests were done"
    try:
        with (WORK / "guest.log").open("w", buffering=1) as log:
            for raw in process.stdout:
                line = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1bc|\r", "", raw.decode(errors="replace")).rstrip()
                log.write(line + "\n")
                if verdict := VERDICT.match(line):
                    return int(verdict.group(1)), summary
                if "guest up after" in line:  # the firmware's last words may stand before it
                    alarms[0].cancel()
                if line:
                    print(line, flush=True)
                    summary = match.group(1) if (match := SUMMARY.match(line)) else summary
        return None, summary
    finally:
        for alarm in alarms:
            alarm.cancel()
        process.kill()  # after its verdict the guest has nothing more to say
        process.wait()


def main(arguments: Sequence[str]) -> int:
    """Prepare and run; return the exit code."""
    started = time.monotonic()
    try:
        tree, version = kernel()
        packed = initramfs(tree, version)
        compileall.compile_dir(ROOT / "walletcli", quiet=2)  # the guest cannot keep what it compiles
        compileall.compile_dir(ROOT / "tests", rx=re.compile("node_modules"), quiet=2)
        print(f"booting Debian's kernel {version} under QEMU, without KVM; pytest {' '.join(GUEST_TESTS)}", flush=True)
        code, summary = boot(tree, version, packed, arguments)
    except CannotRunError as error:
        print(f"security keys cannot be tried here: {error}", file=sys.stderr, flush=True)
        return 1
    took_s = time.monotonic() - started
    if code is None:
        how = "was stopped at the time limit" if took_s >= TIME_LIMIT_S else "ended"
        print(f"the guest {how} without a verdict; all that it said is in {WORK / 'guest.log'}")
    elif code:
        print(f"the guest failed (exit code {code}); all that it said is in {WORK / 'guest.log'}")
    elif not arguments and LEFT_OUT.search(summary):
        print("tests were left out: there is no verdict without them")
        code = 1
    print(f"security keys in the guest: {summary}; with booting {took_s:.0f} s", flush=True)
    return 1 if code is None else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
