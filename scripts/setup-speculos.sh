#!/usr/bin/env bash
# Puts the emulator of Ledger's maker (PyPI speculos) and the one application that comes with its source into
# .work/speculos: an environment of its own, since its dependencies are no business of ours. Versions and hashes are
# those of requirements/speculos.txt. Needs Python 3.11 as `PYTHON`, or the project's own.
set -euo pipefail
cd "$(dirname "$0")/.."
place=.work/speculos
lock=requirements/speculos.txt
app_sha256=0247e866353e99caff8f2d5d4f20edf00e542ea4bf78c5499de494d7681b143a

rm -rf "${place}"
mkdir -p "${place}"
echo "making ${place} from ${lock}"
"${PYTHON:-.venv/bin/python}" -m venv "${place}/venv"
pip=("${place}/venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --quiet --require-hashes --only-binary :all: -r "${lock}"
# The wheel has no application in it; the source has.
awk '/^[a-z]/ { mine = /^speculos==/ } mine' "${lock}" >"${place}/source.txt"
"${pip[@]}" download --quiet --require-hashes --no-deps --no-binary speculos -r "${place}/source.txt" -d "${place}"
tar -xzf "${place}"/speculos-*.tar.gz -C "${place}" --strip-components=2 --wildcards '*/apps/boil.elf'
rm "${place}"/speculos-*.tar.gz
echo "${app_sha256}  ${place}/boil.elf" | sha256sum --check --quiet
