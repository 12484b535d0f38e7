"""Writes the pages that come from the program: command line reference, man pages, completion scripts, error codes."""

from __future__ import annotations

from pathlib import Path

from scripts import error_codes
from walletcli.cli import reference

DOCS = Path(__file__).resolve().parent.parent / "docs"


def generated_files() -> dict[str, str]:
    """Return every generated file: its path below docs/, and what it holds."""
    return {**reference.generated_files(), "reference/errors.md": error_codes.markdown()}


def main() -> None:
    for name, text in generated_files().items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
