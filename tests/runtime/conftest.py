"""The behaviour suite's asserts speak as clearly as those of a test file."""

import pytest

pytest.register_assert_rewrite("tests.runtime.suite")
