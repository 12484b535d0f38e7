"""Blobs into files of their own: ``bench/raw_files.py DIRECTORY BLOBS BYTES``; prints blobs per second.

Each is written under its name, synced, and then its directory, without which the name may be gone after a crash.
"""

from __future__ import annotations

import os
import sys
import time


def main() -> None:
    directory, blobs, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    contents = [os.urandom(size) for _ in range(50)]
    above = os.open(directory, os.O_RDONLY)
    started = time.monotonic()
    for number in range(blobs):
        file = os.open(f"{directory}/{number:032x}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(file, contents[number % len(contents)])
        os.fsync(file)
        os.close(file)
        os.fsync(above)
    print(blobs / (time.monotonic() - started))


if __name__ == "__main__":
    main()
