#!/usr/bin/env bash
# Generates the wire code of proto/*.proto into the folder $1 (by default sdk).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-sdk}
python=${PYTHON:-${VENV:-.venv}/bin/python}
# protoc finds its plugins on PATH: they lie beside the interpreter.
PATH="$(dirname "$python"):$PATH" "$python" -m grpc_tools.protoc -Iflow_wire=proto \
  --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" --mypy_grpc_out="$out" \
  proto/*.proto
