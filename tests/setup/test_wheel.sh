#!/bin/sh
# The installed wheel, away from the checkout, must hold its data folders and both commands, and pass the wheel tests.
set -eu
here=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m uv build -q --wheel --no-build-isolation --python .venv/bin/python --out-dir "$work/dist" .
.venv/bin/python -m uv venv -q --python .venv/bin/python "$work/venv"
.venv/bin/python -m uv pip install -q --python "$work/venv/bin/python" --require-hashes -r tests/requirements.lock
.venv/bin/python -m uv pip install -q --python "$work/venv/bin/python" --no-deps "$work"/dist/*.whl
mkdir "$work/away"
cp -r tests docs images "$work/away/"
cp pyproject.toml "$work/away/"
cd "$work/away"
KIT_WHEEL="$work/venv/bin" "$work/venv/bin/python" -m pytest -q -n "${WORKERS:-4}" -p no:cacheprovider -m "not lab and not e2e and not cu126" tests/unit tests/wheel
cd "$here"
