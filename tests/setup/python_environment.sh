#!/bin/sh
# Makes .venv with kit (editable) and its locked tools. Installs python3-venv where the distribution leaves it out.
set -eu
python=${1:-python3}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "kit needs Python 3.10 or newer; $python is $("$python" --version 2>&1). Name another: make PYTHON=python3.11" >&2
    exit 2
fi
if [ ! -x .venv/bin/python ]; then
    if ! "$python" -m venv .venv 2>/dev/null; then
        rm -rf .venv
        as_root apt-get update -q && as_root apt-get install -y -q python3-venv
        "$python" -m venv .venv
    fi
fi
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r tests/setup/uv.lock
.venv/bin/python -m uv pip install -q --python .venv/bin/python --require-hashes -r tests/requirements.lock
.venv/bin/python -m uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
