"""Text to YAML nodes, which know their lines. What is no YAML at all has one mistake.

Only nodes: nothing of PyYAML's own reading of values is used, which takes `no` for a boolean
and 1:30 for the number 90.
"""

import yaml

from flow_server_sdk.cli.flowfile.report import Report

MAX_BYTES = 1024 * 1024

Node = yaml.nodes.Node


def parse(raw: bytes, report: Report) -> Node | None:
    """Return the file's node, None if it is no YAML; the report then says why."""
    if len(raw) > MAX_BYTES:
        report.add("", f"is larger than {MAX_BYTES} bytes; is it the right file?", line=1)
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        report.add("", "is not UTF-8 text; save it as such", line=line)
        return None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        report.add("", "holds a control character that YAML forbids; remove it", line=line)
    except yaml.MarkedYAMLError as error:
        _add(error, text, report)
    except RecursionError:
        report.add("", "is nested too deeply", line=1)
    else:
        if node is None:
            report.add("", "is empty; write a template, a task or both", line=1)
        return node
    return None


def line_of(node: Node) -> int:
    """Return the line on which a node begins, from 1."""
    return int(node.start_mark.line) + 1


def _add(error: yaml.MarkedYAMLError, text: str, report: Report) -> None:
    mark = error.problem_mark or error.context_mark
    line = 1 if mark is None else mark.line + 1
    lines = text.splitlines()
    at = lines[line - 1] if line <= len(lines) else ""
    if "\t" in at[: len(at) - len(at.lstrip())] or "'\\t'" in (error.problem or ""):
        report.add("", "a tab can't indent YAML; use spaces", line=line)
    elif isinstance(error, yaml.composer.ComposerError) and "single document" in str(error.context):
        report.add("", "a second document begins here; keep one to a file", line=line)
    else:
        what = ", ".join(part for part in (error.context, error.problem) if part)
        report.add("", f"is not YAML: {what}", line=line)
