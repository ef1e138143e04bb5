"""What all tests share. Fixtures live in modules of their own, by subject."""

import pytest

pytest_plugins = ["tests.postgres"]


@pytest.fixture(autouse=True, scope="session")
def no_known_servers(tmp_path_factory):
    """Keep the tokens of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        for variable in ("FEDFLOW_TOKEN", "FEDFLOW_TOKEN_FILE", "FEDFLOW_CA"):
            patch.delenv(variable, raising=False)
        yield
