"""docs/observability.md names the metrics that there are, all and no others; so do its rules."""

import json
import re

import pytest
import yaml

from flow_server.telemetry.metrics import ServerMetrics
from party_agent.telemetry.metrics import AgentMetrics
from tests.arch.repository import ROOT

PAGE = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "docs/grafana/fedflow.json").read_text(encoding="utf-8"))
REGISTRIES = {
    "Server": ServerMetrics(version="x").registry,
    "Agent": AgentMetrics(version="x").registry,
}
_ROW = re.compile(r"^\| `([a-z0-9_]+)` \| ([a-z]+) \| ([^|]*) \|", re.MULTILINE)
_NAME = re.compile(r"\b(?:fedflow|process)_[a-z0-9_]+")


def exported(registry):
    """{name: (kind, labels)} as Prometheus shows them."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            set(getattr(registry._names_to_collectors.get(family.name), "_labelnames", ())),
        )
        for family in registry.collect()
    }


def written(heading):
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]
    return {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in _ROW.findall(section)
    }


def queryable():
    """Every name that an expression may use."""
    found = set()
    for registry in REGISTRIES.values():
        for name, (kind, _) in exported(registry).items():
            ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            found |= {name + end for end in ends}
    return found


def expressions():
    rules = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])
    yield from (
        (rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]
    )
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", ()))


@pytest.mark.parametrize("heading", REGISTRIES)
def test_the_table_is_what_is_exported(heading):
    assert written(heading) == exported(REGISTRIES[heading])


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_every_expression_names_metrics_that_there_are(title, expression):
    named = set(_NAME.findall(expression))
    assert named
    assert named - queryable() == set()


def test_there_is_an_alert_for_each_of_the_troubles_that_wake_people():
    alerts = dict(expressions())
    for alert, metric in {
        "FedflowServerWithoutDatabase": "database_up",
        "FedflowLoopStuck": "loop_last_success_timestamp_seconds",
        "FedflowAgentsLost": "parties",
        "FedflowLogBacklog": "log_spooled_bytes",
        "FedflowCertificateExpires": "certificate_expiry_timestamp_seconds",
    }.items():
        assert metric in alerts[alert]


def test_the_panels_of_the_dashboard_lie_beside_each_other():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(places) == len(set(places))


def test_no_metric_has_a_name_of_a_task_a_run_or_a_party_as_its_label():
    labels = set().union(
        *(labels for r in REGISTRIES.values() for _, labels in exported(r).values())
    )
    assert labels == {
        "version", "outcome", "method", "code", "loop", "kind", "status", "state", "presence",
        "reason", "call", "how", "direction",
    }  # fmt: skip
