"""A database URL is read as psql reads it, and its password is never shown."""

import pytest

from flow_contract.errors import InvalidArgument
from flow_server.storage.address import parse


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s3cret@db.site:6000/flow", "postgresql://ann@db.site:6000/flow"),
        ("postgres://ann:s3cret@db.site/flow", "postgresql://ann@db.site/flow"),
        (
            "postgresql://ann@/flow?host=/run/pg&password=s3cret",
            "postgresql://ann@/flow?host=/run/pg",
        ),
        (
            "postgresql:///flow?host=/run/a%20b&port=6000&user=ann&password=s3cret",
            "postgresql://ann@/flow?host=/run/a b&port=6000",
        ),
        ("postgresql://ann:s3%40cret@[::1]:6000/flow", "postgresql://ann@[::1]:6000/flow"),
        ("postgresql://ann:s3cret@one:1,two:2/flow", "postgresql://ann@one:1,two:2/flow"),
        ("postgresql://ann:s3cret@db.site", "postgresql://ann@db.site/ann"),
    ],
)
def test_what_is_shown_says_where_and_keeps_the_password(url, shown):
    address = parse(url)
    assert address.shown == shown
    assert "s3" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ann:s3cret@db/flow",
        "postgresql+psycopg://ann:s3cret@db/flow",
        "sqlite:///s3cret.db",
        "s3cret",
        "s3cret://",
        "",
        "postgresql://ann:s3#cret@db/flow",
        "postgresql://ann:s3[cret@db/flow",
        "postgresql://ann:s3cret@db/flow?s3cret",
        "postgresql://ann:s3cret@db/flow?connect_timeout=soon",
        "postgresql://ann:s3cret@db:port/flow",
        "postgresql://ann:s3cret@db/flow#s3cret",
    ],
)
def test_what_is_no_postgres_url_is_refused_by_its_option_and_without_repeating_it(url):
    with pytest.raises(InvalidArgument) as caught:
        parse(url)
    assert caught.value.field == "database_url"
    assert "--database-url" in caught.value.message
    assert "s3cret" not in caught.value.message.replace("'s3cret://'", "")
    assert "s3#" not in caught.value.message


def test_settings_in_the_url_win_over_the_servers_own():
    address = parse("postgresql:///flow?application_name=mine&connect_timeout=3")
    arguments = address.connect_args({"application_name": "fedflow", "jit": "off"})
    assert arguments["server_settings"] == {"jit": "off"}
    assert arguments["timeout"] == 3.0
    assert "application_name=mine" in arguments["dsn"]
    assert "connect_timeout" not in arguments["dsn"]


def test_a_connect_timeout_of_zero_means_without_limit():
    assert parse("postgresql:///flow?connect_timeout=0").connect_timeout_s > 86_400
