"""Writes the pages that come from the program: command line reference, man pages, completion scripts."""

from __future__ import annotations

from pathlib import Path

from walletcli.cli.reference import generated_files

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> None:
    for name, text in generated_files().items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
