"""No rule of the schema is without its sentence on one of the pages."""

from flow_server.storage.all_tables import TABLES
from tests.storage import (
    test_constraints,
    test_event_constraints,
    test_identity_constraints,
    test_log_constraints,
    test_metric_constraints,
    test_output_constraints,
)
from tests.storage.never import rules_of

PAGES = (
    test_constraints,
    test_event_constraints,
    test_identity_constraints,
    test_log_constraints,
    test_metric_constraints,
    test_output_constraints,
)


def test_every_rule_of_the_schema_has_a_sentence():
    said = {never.rule for page in PAGES for never in page.NEVER}
    # Keys may have one: to be the same is all that they forbid.
    assert {rule for rule in said if not rule.startswith("pk_")} == rules_of(TABLES)
