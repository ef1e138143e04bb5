"""Curves of metrics: in braille on a terminal, in a PNG where matplotlib is installed.

The terminal's is a hundred lines of ours: what there is to install for it brings its own ideas
of colours and sizes, and writes labels as they are, escape codes of a workload's included.
"""
