"""Images' names: one meaning in all its spellings, and no name that could be an id."""

import pytest

from party_agent.policy import images
from party_agent.policy.rules import ImageRules

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("reference", "first"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"),
        ("hospital/train:2", "docker.io/hospital/train:2"),
        ("Registry.Example:5000/a/b:1", "registry.example:5000/a/b:1"),
        ("localhost/a", "localhost/a:latest"),
        (f"r.example/a:moved@{A}", f"r.example/a@{A}"),
    ],
)
def test_every_spelling_means_one_image(reference, first):
    assert images.parse(reference).spellings[0] == first


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "cafe",
        "4bcff63911fc",
        "a" * 64,
        A,
        "sha256:4bcf",
        "sha512:AB",
        "Train",
        "a b",
        "a\n",
        "a\x00b",
        "../a",
        "r.example/../a",
        "r.example//a",
        "r.example/a:",
        "r.example/a@",
        "r.example/a@sha256:12",
        f"a@{A}@{B}",
        "http://r.example/a",
        "r.example/a:1:2",
        "a" * 3 + "\uff0eexample/b",
    ],
)
def test_what_is_no_name_or_could_be_an_id_means_no_image(reference):
    assert images.parse(reference) is None


@pytest.mark.parametrize(
    ("glob", "reference", "passes"),
    [
        ("busybox", "busybox", True),
        ("busybox", "docker.io/library/busybox:latest", True),
        ("busybox", "busybox:1.36", False),
        ("busybox:*", "index.docker.io/library/busybox:1.36", True),
        ("r.example/*", "r.example/a/b:1", True),
        ("r.example/*", "r.example.evil.example/a", False),
        ("r.example/*", "evil.example/r.example/a", False),
        ("train:1", "train:1", True),
        ("train:1", f"train:1@{A}", False),
        ("train:*", f"train:1@{A}", False),
        (f"train@{A}", f"train:anything@{A}", True),
        (f"train@{A}", f"train@{B}", False),
        ("TRAIN:1", "train:1", False),
    ],
)
def test_a_glob_is_held_against_the_whole_name(glob, reference, passes):
    assert images.matches((glob,), images.parse(reference)) is passes


@pytest.mark.parametrize(
    ("reference", "resolved", "passes"),
    [
        ("train:1", A, True),
        ("train:1", B, False),
        ("train:1", "", False),
        (f"train@{A}", B, True),
        (f"train@{B}", A, True),
        (f"train@{B}", B, False),
        ("cafe", A, True),
        ("cafe", "", False),
    ],
)
def test_the_image_that_was_found_must_be_an_approved_one(reference, resolved, passes):
    rules = ImageRules(digests=(A,))
    assert images.digest_is_approved(rules, reference, resolved) is passes
    assert images.digest_is_approved(ImageRules(), reference, resolved)
