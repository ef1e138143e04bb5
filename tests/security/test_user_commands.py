"""`fedflow login`, `whoami`, `user` and `token` against a real server, over TLS."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from flow_server_sdk.cli import main
from tests.security.people import token_id


@pytest.fixture
def fedflow(server, tmp_path):
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "FEDFLOW_SERVER": server.address}

    async def run(*arguments, stdin=None, **more):
        # On a thread of its own: the command blocks, and the server is on this one.
        return await asyncio.to_thread(
            CliRunner().invoke, main, arguments, input=stdin, env={**environment, **more}
        )

    return run


async def login(server, fedflow):
    result = await fedflow(
        "login", "--token", "-", "--ca", str(server.ca), stdin=f"{server.admin_token}\n"
    )
    assert result.exit_code == 0, result.output
    return result


async def test_who_logged_in_is_known_to_every_command_until_they_log_out(
    server, fedflow, tmp_path
):
    told = await login(server, fedflow)
    assert "as admin" in told.output
    assert server.admin_token not in told.output
    kept = tmp_path / "config" / "fedflow" / "servers.toml"
    assert kept.stat().st_mode & 0o777 == 0o600
    whoami = await fedflow("whoami")
    assert whoami.output.startswith(f"admin by token {token_id(server.admin_token)}: read ")
    assert (await fedflow("party", "list", "--json")).output == "[]\n"
    assert (await fedflow("logout")).exit_code == 0
    assert server.admin_token not in kept.read_text()
    lost = await fedflow("whoami")
    assert (lost.exit_code, "needs a token" in lost.output) == (4, True)
    assert (await fedflow("logout")).exit_code == 1


async def test_a_token_on_the_command_line_is_refused_and_not_repeated(server, fedflow):
    result = await fedflow("login", "--token", server.admin_token, "--ca", str(server.ca))
    assert result.exit_code == 2
    assert server.admin_token not in result.output
    assert "stdin" in result.output


async def test_a_token_that_the_server_refuses_is_not_kept(server, fedflow, tmp_path):
    result = await fedflow("login", "--token", "-", "--ca", str(server.ca), stdin="hunter2\n")
    assert (result.exit_code, "not accepted" in result.output) == (4, True)
    assert "hunter2" not in result.output
    assert not (tmp_path / "config").exists()
    empty = await fedflow("login", "--token", "-", "--ca", str(server.ca), stdin="\n")
    assert (empty.exit_code, "no token" in empty.output) == (1, True)


async def test_a_token_file_is_read_whenever_it_is_needed_and_not_copied(server, fedflow, tmp_path):
    file = tmp_path / "token"
    file.write_text(server.admin_token)
    arguments = ("--token-file", str(file), "--ca", str(server.ca))
    assert (await fedflow("login", *arguments)).exit_code == 0
    kept = (tmp_path / "config" / "fedflow" / "servers.toml").read_text()
    assert server.admin_token not in kept
    assert (await fedflow("whoami", "--json")).exit_code == 0
    file.write_text("hunter2")
    assert (await fedflow("whoami")).exit_code == 4


async def test_the_environment_is_enough(server, fedflow):
    given = {"FEDFLOW_TOKEN": server.admin_token, "FEDFLOW_CA": str(server.ca)}
    result = await fedflow("whoami", "--json", **given)
    assert json.loads(result.output)["name"] == "admin"


async def test_an_admin_adds_users_and_hands_out_tokens(server, fedflow):
    await login(server, fedflow)
    added = await fedflow("user", "add", "ana", "--role", "researcher")
    assert (added.exit_code, added.output) == (0, "ana is researcher\n")
    made = await fedflow("token", "create", "--user", "ana", "--scope", "read", "--label", "laptop")
    # Alone on stdout, so that it can be piped to where it belongs.
    (token,) = made.stdout.splitlines()
    assert token.startswith("ff.")
    assert token not in made.stderr
    listed = await fedflow("token", "list", "--user", "ana")
    assert token_id(token) in listed.output
    assert "laptop" in listed.output
    assert token.split(".")[2] not in listed.output
    shown = json.loads((await fedflow("token", "list", "--user", "ana", "--json")).output)
    assert shown[0]["scopes"] == ["read"]
    given = {"FEDFLOW_TOKEN": token, "FEDFLOW_CA": str(server.ca)}
    refused = await fedflow("user", "list", **given)
    assert (refused.exit_code, "manage" in refused.output) == (4, True)
    assert (await fedflow("token", "revoke", token_id(token))).exit_code == 0
    assert (await fedflow("whoami", **given)).exit_code == 4


async def test_roles_change_and_users_go_and_come_back(server, fedflow):
    await login(server, fedflow)
    await fedflow("user", "add", "ana", "--role", "viewer")
    assert (await fedflow("user", "role", "ana", "operator")).output == "ana is operator\n"
    assert (await fedflow("user", "disable", "ana")).output == "ana is disabled\n"
    known = json.loads((await fedflow("user", "list", "--json")).output)
    assert [(user["name"], user["role"], user["disabled"]) for user in known] == [
        ("admin", "admin", False),
        ("ana", "operator", True),
    ]
    assert "ana" in (await fedflow("user", "list")).output
    assert (await fedflow("user", "enable", "ana")).output == "ana is enabled\n"
    last = await fedflow("user", "disable", "admin")
    assert (last.exit_code, "last admin" in last.output) == (6, True)
