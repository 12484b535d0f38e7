"""Writes batch after batch to a store and says what is stored: for programs that are made to be killed."""

from __future__ import annotations

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
) -> None:
    """Store batches from the first on, and close the store; a line is printed for whatever is on disk or is not.

    Args:
        store: open; closed at the end.
        batches: how many.
        writes: gives a batch by its number.
        now_s: Unix seconds.
        each_alone: whether a batch means something without the one before; otherwise the first refusal is the end.
    """
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
    try:
        store.close()
    except StorageError as error:
        print(f"not closed: {error.code}", flush=True)
    else:
        print("closed", flush=True)
