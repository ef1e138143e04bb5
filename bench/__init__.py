"""Side-by-side measurements: every figure beside a reference of the same run. `make bench`."""
