"""A policy file's text: the rules that it states, or all that is wrong with it and where."""

import re
import tomllib
from pathlib import Path

import pytest

import party_agent
from party_agent.policy.lines import lines_of
from party_agent.policy.load import MAX_FILE_BYTES, PolicyInvalid, load
from party_agent.policy.rules import DataRule, NetworkMode, Rules

PAGE = Path(party_agent.__file__).parents[1] / "docs" / "site-policy.md"


def problems(text):
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(PolicyInvalid) as invalid:
        load(content, name="policy.toml")
    return str(invalid.value).splitlines()


def example():
    found = re.search(r"<!-- begin example.*?```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found[1]


def test_the_example_of_the_documentation_is_a_good_file():
    rules = load(example().encode())
    assert rules.images.registries == ("registry.hospital.example", "docker.io")
    assert rules.commands.allowed == ((), ("python", "/app/train.py", "**"))
    assert rules.data.names["genomes"] == DataRule(
        path=Path("/srv/fedflow/genomes/2026"), users=("alice",)
    )
    assert rules.limits.max_memory_bytes == 64 * 2**30
    assert rules.network is NetworkMode.NONE
    assert (rules.tunnel.max_bytes_per_s, rules.tunnel.max_connections) == (50 * 2**20, 512)
    assert rules.tunnel.dial == ("flow.example.org:*",)
    assert (rules.may_leave.logs, rules.may_leave.outputs_max_bytes) == (True, 2 * 2**30)
    assert (rules.approval.is_manual, rules.approval.timeout_s) == (True, 1800)
    assert rules.sessions is False


def test_an_empty_file_restricts_nothing_and_opens_nothing():
    rules = load(b"")
    assert rules == Rules()
    assert rules.images.allowed is None
    assert (rules.data.names, rules.network, rules.sessions) == ({}, NetworkMode.NONE, False)
    leave = rules.may_leave
    assert (leave.logs, leave.metrics, leave.outputs) == (False, False, False)


def test_an_empty_list_allows_nothing():
    rules = load(b"[images]\nallowed = []\n[users]\nallowed = []")
    assert (rules.images.allowed, rules.users) == ((), ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[imags]", "policy.toml:1: imags is not known; did you mean images?"),
        ("\n[images]\nalowed = []", "policy.toml:3: images.alowed is not known; did you mean"),
        ("[limits]\nmax_wombats = 1", "policy.toml:2: limits.max_wombats is not known; use one of"),
        ("images = 1", "policy.toml:1: images must be a table: write [images]"),
        ("[[images]]", "policy.toml:1: images must be a table"),
        ("[images]\nallowed = 'x'", "policy.toml:2: images.allowed must be a list of texts"),
        ("[images]\nallowed = [\n'a',\n7]", "policy.toml:4: images.allowed[1] must be text"),
        ("[images]\nallowed = ['']", "policy.toml:2: images.allowed[0] must be text that is not"),
        ("[images]\nrequire_digest = 1", "policy.toml:2: images.require_digest must be true or"),
        ("[images]\ndigests=['sha256:12']", 'policy.toml:2: images.digests[0] must be "sha256:"'),
        (
            "[commands]\nallowed=['ls']",
            "policy.toml:2: commands.allowed[0] must be a list of words",
        ),
        ("[commands]\nallowed=[[1]]", "policy.toml:2: commands.allowed[0][0] must be text, not 1"),
        (
            "[limits]\nmax_cpus = 0",
            "policy.toml:2: limits.max_cpus must be a number above 0, not 0",
        ),
        ("[limits]\nmax_cpus = nan", "policy.toml:2: limits.max_cpus must be a number above 0"),
        ("[limits]\nmax_cpus = inf", "policy.toml:2: limits.max_cpus must be a number above 0"),
        ("[limits]\nmax_cpus = true", "policy.toml:2: limits.max_cpus must be a number above 0"),
        ("[limits]\nmax_gpus = -1", "policy.toml:2: limits.max_gpus must be a whole number"),
        ("[limits]\nmax_gpus = true", "policy.toml:2: limits.max_gpus must be a whole number"),
        ("[limits]\nmax_run_time_s = 0", "policy.toml:2: limits.max_run_time_s must be whole sec"),
        (
            "[limits]\nmax_memory_bytes='1 GB'",
            "policy.toml:2: limits.max_memory_bytes must be bytes",
        ),
        (f"[limits]\nmax_gpus = {2**63}", "policy.toml:2: limits.max_gpus must be a whole number"),
        (
            "[tunnel]\nmax_bytes_per_s=10",
            "policy.toml:2: tunnel.max_bytes_per_s must be 1024 bytes",
        ),
        (
            "[tunnel]\naddress='a:1'\nlisten='0.0.0.0'",
            'policy.toml:3: tunnel.listen must be "HOST:PORT"',
        ),
        ("[tunnel]\nlisten='0.0.0.0:7443'", "policy.toml:2: tunnel.listen is of no use without"),
        (
            "[tunnel]\naddress='a:0'\nlisten='a:1'",
            'policy.toml:2: tunnel.address must be "HOST:PORT"',
        ),
        ("[tunnel]\nmax_connections=-1", "policy.toml:2: tunnel.max_connections must be a whole"),
        ("[network]\nmode='host'", 'policy.toml:2: network.mode must be one of "none", "coord'),
        ("[approval]\nmode='yes'", 'policy.toml:2: approval.mode must be one of "automatic", "man'),
        ("[data.names.x]", "policy.toml:1: data.names.x needs a path"),
        ("[data.names.x]\npath='scans'", "policy.toml:2: data.names.x.path must be an absolute"),
        ("[data.names.x]\npath='/a/../b'", "policy.toml:2: data.names.x.path must be an absolute"),
        ("[data.names]\nx='/a'", "policy.toml:2: data.names.x must be a table"),
        ("[data.names.'a/b']\npath='/a'", "policy.toml:1: data.names.a/b can't name data"),
        ("[data]\nnames.x.path='/b'\nroots=['/a']", "policy.toml:2: data.names.x.path must lie in"),
        (
            "[data.names.x]\npath='/a'\nuser='b'",
            "policy.toml:3: data.names.x.user is not known; did",
        ),
        ("[images]\nallowed = [", "policy.toml:2: is not TOML: "),
        ("[images]\n[images]", "policy.toml:2: is not TOML: "),
        (b"[images]\n\xff", "policy.toml:2: is not UTF-8 text"),
        (b"#" * (MAX_FILE_BYTES + 1), "policy.toml:1: is larger than"),
        ("x = " + "[" * 100_000, "policy.toml:1: is n"),
    ],
)
def test_a_problem_names_its_line_its_key_and_what_may_stand_there(text, told):
    (line,) = problems(text)
    assert line.startswith(told)


def test_all_problems_are_said_at_once_in_the_order_of_their_lines():
    text = """
[images]
allowed = ["a", 3]
alowed = 1
[limits]
max_cpus = -1
[data]
roots = ["relative"]
[data.names]
scans = { path = "/b", users = "x" }
[foo]
"""
    keys = [line.split(": ", 1)[1].split(" ")[0] for line in problems(text)]
    assert keys == [
        "images.allowed[1]",
        "images.alowed",
        "limits.max_cpus",
        "data.roots[0]",
        "data.names.scans.path",
        "data.names.scans.users",
        "foo",
    ]


TRICKY = '''# [not.a.table]
a.b."c.d".'e f' = 1
"\\u0061b" = "x # no comment ] }"
[ t . "u" ]  # with a comment
x = """
[no.header]
y = 1 \\""" still inside""""
\'z\' = \'\'\'
it's [[text]]\'\'\'
list = [ # one
  1, # two
  [2, "3]"],
  { k = [4,
     5], l = "}" },
]
when = 1979-05-27T07:32:00Z
far = { a = { b.c = 1 }, d = 2 }
[[rows]]
n = 1
[[rows]]
n = 2
[rows.inner]
m = 3
[[rows.deep]]
[[rows.deep]]
o = 1.5e3
[empty]
'''


def paths_of(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        yield (*path, key)
        if isinstance(each, dict | list):
            yield from paths_of(each, (*path, key))


@pytest.mark.parametrize("text", [TRICKY, TRICKY.replace("\n", "\r\n"), "", "a=1", example()])
def test_every_key_and_item_of_a_document_has_a_line(text):
    lines = lines_of(text)
    assert set(lines) == set(paths_of(tomllib.loads(text)))


@pytest.mark.parametrize(
    ("path", "start"),
    [
        (("a", "b", "c.d", "e f"), "a.b."),
        (("ab",), '"\\u0061b"'),
        (("t", "u"), "[ t ."),
        (("t", "u", "z"), "'z'"),
        (("t", "u", "list", 1, 1), "  [2,"),
        (("t", "u", "list", 2, "k", 1), "     5]"),
        (("t", "u", "far", "a", "b", "c"), "far ="),
        (("rows", 1, "n"), "n = 2"),
        (("rows", 1, "inner", "m"), "m = 3"),
        (("rows", 1, "deep", 1, "o"), "o = 1.5e3"),
        (("empty",), "[empty]"),
    ],
)
def test_a_line_is_the_one_that_people_see(path, start):
    line = lines_of(TRICKY)[path]
    assert TRICKY.splitlines()[line - 1].startswith(start)
