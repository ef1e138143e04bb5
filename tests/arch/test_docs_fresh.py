"""The generated parts of the documentation are what the code says."""

import ast
import re

import pytest

from flow_contract.lifecycle import PartyRunEvent, PartyRunState, RunStatus
from flow_contract.reasons import Reason
from scripts import state_diagram
from tests.arch.repository import ROOT, files, text


def part(name):
    page = state_diagram.PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- begin generated: {name} -->", f"<!-- end generated: {name} -->"
    return page.split(begin)[1].split(end)[0]


def test_the_page_is_fresh():
    page = state_diagram.PAGE.read_text(encoding="utf-8")
    assert state_diagram.generate(page) == page
    assert state_diagram.main(["--check"]) == 0


def test_a_stale_page_is_told_and_renewed(tmp_path, monkeypatch, capsys):
    page = tmp_path / "task_model.md"
    fresh = state_diagram.PAGE.read_text(encoding="utf-8")
    page.write_text(fresh.replace("--> running", "--> flying"), encoding="utf-8")
    monkeypatch.setattr(state_diagram, "PAGE", page)
    assert state_diagram.main(["--check"]) == 1
    assert "run: python scripts/state_diagram.py" in capsys.readouterr().out
    assert "flying" in page.read_text(encoding="utf-8")
    assert state_diagram.main([]) == 0
    assert page.read_text(encoding="utf-8") == fresh


def test_a_page_without_markers_is_refused():
    with pytest.raises(ValueError, match="markers"):
        state_diagram.generate("# nothing here")


@pytest.mark.parametrize("word", [*PartyRunState, *PartyRunEvent])
def test_every_state_and_event_of_a_party_run_stands_in_its_diagram(word):
    assert f" {word}" in part("party run diagram")


@pytest.mark.parametrize("status", RunStatus)
def test_every_status_stands_in_the_diagram_of_a_run(status):
    assert f" {status}" in part("run diagram")


@pytest.mark.parametrize("reason", set(Reason) - {Reason.NONE})
def test_every_reason_stands_in_the_table(reason):
    assert f"| `{reason}` |" in part("reasons")


@pytest.mark.parametrize("page", [path for path in files() if path.endswith(".md")])
def test_every_link_to_another_file_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#:]+)\)", text(page))
    assert [t for t in targets if not (ROOT / page).parent.joinpath(t).exists()] == []


def test_the_python_of_the_readme_is_python():
    for example in re.findall(r"```python\n(.*?)```", text("README.md"), re.DOTALL):
        ast.parse(example)
