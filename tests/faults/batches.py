"""Writes batch after batch to a store and says what is stored: for programs that are made to be killed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from walletcli.errors import StorageError
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import Write


def write_batches(
    store: SqliteStore,
    batches: int,
    writes: Callable[[int], Sequence[Write]],
    now_s: int,
    *,
    each_alone: bool = True,
    copies_beside: bool = False,
) -> None:
    """Store batches from the first on, and close the store; a line is printed for whatever is on disk or is not.

    Args:
        store: open; closed at the end.
        batches: how many.
        writes: gives a batch by its number.
        now_s: Unix seconds.
        each_alone: whether a batch means something without the one before; otherwise the first refusal is the end.
        copies_beside: whether another thread copies the log meanwhile, over and over.
    """
    is_over = threading.Event()
    copier = threading.Thread(target=_copy, args=(store, is_over))
    if copies_beside:
        copier.start()
    for batch in range(batches):
        try:
            store.stage(writes(batch), now_s)
            store.commit()
            store.committed()
        except StorageError as error:
            print(f"refused {batch} {error.code}", flush=True)
            if not each_alone:
                break
        else:
            print(f"stored {batch}", flush=True)
        try:
            store.settle()
        except StorageError as error:
            print(f"not settled: {error.code}", flush=True)
    is_over.set()
    if copies_beside:
        copier.join()
    try:
        store.close()
    except StorageError as error:
        print(f"not closed: {error.code}", flush=True)
    else:
        print("closed", flush=True)


def _copy(store: SqliteStore, is_over: threading.Event) -> None:
    while not is_over.is_set():
        try:
            store.copy_log()
        except StorageError as error:
            print(f"not copied: {error.code}", flush=True)
