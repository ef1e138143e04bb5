#!/usr/bin/env bash
# Makes sure that .venv holds Fedflow (editable) and what its pyproject extras name.
#
# Usage: ensure_venv.sh [EXTRAS], by default server,agent,dev. Installs again only when
# pyproject.toml, constraints.txt or the extras have changed. PYTHON and VENV may be set.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly EXTRAS=${1:-server,agent,dev}
readonly VENV=${VENV:-.venv}
readonly STAMP=$VENV/.installed

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return 0
    fi
  done
  echo "no Python 3.11 or newer found: install one, or name it in PYTHON" >&2
  return 1
}

# Debian ships venv and pip apart from python3.
ensure_venv_module() {
  "$python" -c 'import ensurepip, venv' 2>/dev/null && return 0
  local package
  package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  if has_apt && may_be_root; then
    echo "installing $package"
    apt_install "$package" && return 0
  fi
  echo "$python can't make virtual environments: install $package" >&2
  return 1
}

fingerprint() {
  { cat pyproject.toml constraints.txt scripts/ensure_venv.sh && echo "$EXTRAS"; } |
    sha256sum | cut -d' ' -f1
}

if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(fingerprint)" ] &&
  "$VENV/bin/python" -c 'import flow_contract' 2>/dev/null; then
  exit 0
fi
python=$(find_python)
ensure_venv_module
[ -x "$VENV/bin/python" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1 ||
  "$python" -m venv --clear "$VENV"
echo "installing fedflow[$EXTRAS] into $VENV"
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
  --constraint constraints.txt --editable ".[$EXTRAS]"
fingerprint >"$STAMP"
