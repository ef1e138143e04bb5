"""YAML files of flows, as tests write them."""

import json
import textwrap


def flow_file(folder, script, *, name, parties, image="any", template="", start=""):
    """Write a file whose workload is a shell script; return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"template:\n"
        f"  name: {name}\n"
        f"  image_url: {image}\n"
        f"  command: [sh, -c, {_quoted(script)}]\n"
        f"{_indented(template)}"
        f"task:\n"
        f"  name: {name}-task\n"
        f"  parties:\n"
        + "".join(f"    {party}: scans\n" for party in parties)
        + (f"start:\n{_indented(start)}" if start else "")
    )
    return path


def _quoted(text):
    # A JSON string is one of YAML, and keeps its newlines.
    return json.dumps(text)


def _indented(text):
    return textwrap.indent(textwrap.dedent(text), "  ")
