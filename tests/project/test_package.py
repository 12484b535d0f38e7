"""What `pipx install .` installs: the whole package, its command and its types, and nothing of the tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import clean_environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the locked build system."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--quiet", "--wheel-dir", str(target), str(ROOT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_and_no_test(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "walletcli").rglob("*.py")}
    assert modules
    assert modules <= names
    assert "walletcli/py.typed" in names
    assert {name.split("/")[0] for name in names if not name.startswith("walletcli")} == set()


def test_the_wheel_brings_the_command_and_its_dependencies(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    texts = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "walletcli = walletcli.cli.main:main" in texts["entry_points.txt"]
    assert "Requires-Python: >=3.11" in texts["METADATA"]
    for dependency in ("click", "pynacl", "mnemonic", "apsw"):
        assert f"Requires-Dist: {dependency}" in texts["METADATA"]


def test_what_the_wheel_holds_runs(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = "import walletcli; from walletcli.cli.main import main; print(walletcli.__file__); main(['--version'])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=clean_environment(PYTHONPATH=str(tmp_path)), cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(str(tmp_path))
    assert second.startswith("walletcli ")
