"""Boots a Debian kernel under QEMU and runs the tests of security keys in it, on a true HID stack.

The guest sees this machine's files, read-only, below a layer that is thrown away. Its kernel, from Debian's package, is
unpacked into .work/hid and installed nowhere. No hardware virtualization, no root and no network is used. What the
guest prints at its end decides: no line with its exit code, no success.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".work" / "hid"
TIME_LIMIT_S = int(os.environ.get("HID_TIME_LIMIT_S", "900"))
"""How long the guest may run on a busy machine; usually it is done in a fifth of that."""

MEMORY_MIB = 1536
META_PACKAGE = "linux-image-amd64"
SUMMARY = re.compile(r"^=* ?((\d+ (passed|failed|errors?|skipped)[, ]*)+ in [\d.]+s.*?) ?=*$")
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
exec $b switch_root /new /bin/bash ROOT/tests/hid/guest.sh "$@"
"""


def kernel() -> tuple[Path, str]:
    """Return the directory of the unpacked kernel and its version; fetch it from Debian if it is not there."""
    tree = WORK / "kernel"
    marker = WORK / "kernel.version"
    if marker.exists():
        return tree, marker.read_text()
    shutil.rmtree(WORK, ignore_errors=True)
    tree.mkdir(parents=True)
    depends = subprocess.run(["apt-cache", "depends", META_PACKAGE], capture_output=True, text=True, check=True).stdout
    package = re.findall(r"Depends: (linux-image-\S+)", depends)[0]
    print(f"fetching {package} from Debian", flush=True)
    subprocess.run(["apt-get", "download", "-q", package], cwd=WORK, check=True, stdout=subprocess.DEVNULL)
    (archive,) = WORK.glob("*.deb")
    unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE)
    subprocess.run(["tar", "x", "-C", str(tree), "--wildcards", *UNPACKED], stdin=unpack.stdout, check=True)
    if unpack.wait() != 0:
        raise SystemExit("the package of the kernel cannot be unpacked")
    archive.unlink()
    (image,) = (tree / "boot").glob("vmlinuz-*")
    version = image.name.removeprefix("vmlinuz-")
    # Debian's index names modules that were left out; depmod counts what is there.
    subprocess.run([_tool("depmod"), "-b", str(tree), version], check=True, stderr=subprocess.DEVNULL)
    marker.write_text(version)
    return tree, version


def initramfs(tree: Path, version: str) -> Path:
    """Pack the guest's first files: busybox, the modules that it needs to see ours, and `INIT`."""
    packed = WORK / "initramfs.gz"
    files = WORK / "initramfs"
    shutil.rmtree(files, ignore_errors=True)
    (files / "bin").mkdir(parents=True)
    (files / "modules").mkdir()
    busybox = shutil.which("busybox")
    assert busybox, "install busybox-static"
    shutil.copy(busybox, files / "bin" / "busybox")
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
    init.write_text(INIT.replace("ROOT", str(ROOT)))
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(files)) for path in sorted(files.rglob("*")))
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], cwd=files, input=names.encode(), capture_output=True, check=True
    ).stdout
    import gzip

    packed.write_bytes(gzip.compress(archive, 1))
    return packed


def _tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert path, f"install {name}"
    return path


def boot(tree: Path, version: str, packed: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Run the guest and show what it says; return its exit code (1 if it did not say any) and the tests' last line."""
    shared = "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
    words = " ".join(["console=ttyS0 quiet loglevel=3 panic=-1 rdinit=/init --", str(ROOT), str(tree), *arguments])
    command = [
        "nice", "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-m", str(MEMORY_MIB), "-smp", "2", "-nographic", "-no-reboot", "-net", "none",
        "-kernel", str(tree / "boot" / f"vmlinuz-{version}"), "-initrd", str(packed),
        "-virtfs", shared, "-append", words,
    ]  # fmt: skip
    log = (WORK / "guest.log").open("w")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    import threading

    alarm = threading.Timer(TIME_LIMIT_S, process.kill)
    alarm.start()
    code, summary = None, "no tests were done"
    try:
        for raw in process.stdout:
            line = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1bc|\r", "", raw.decode(errors="replace")).rstrip()
            log.write(line + "\n")
            verdict = VERDICT.match(line)
            if verdict:
                code = int(verdict.group(1))
            elif line:
                print(line, flush=True)
                summary = match.group(1) if (match := SUMMARY.match(line)) else summary
    finally:
        alarm.cancel()
        process.kill()
        process.wait()
        log.close()
    return (1 if code is None else code), summary


def main(arguments: Sequence[str]) -> int:
    """Prepare and run; return the exit code."""
    started = time.monotonic()
    tree, version = kernel()
    packed = initramfs(tree, version)
    code, summary = boot(tree, version, packed, arguments)
    if code:
        print(f"the guest failed (exit code {code}); all that it said is in {WORK / 'guest.log'}")
    print(f"guest done in {time.monotonic() - started:.0f} s")
    print(f"=== {summary} ===", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
