"""Pure: what an image's name says, in the one spelling that rules are compared with."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from party_agent.policy.rules import Globs, ImageRules

DEFAULT_REGISTRY = "docker.io"

_PATH = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_HOST = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
# An engine takes these for an image's id, whatever name that image has.
_ID = re.compile(r"[0-9a-f]+|sha(?:256|384|512):[0-9A-Fa-f]+")


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image's name taken apart. `tag` is empty where a digest makes it meaningless."""

    registry: str
    path: str
    tag: str
    digest: str

    @property
    def spellings(self) -> tuple[str, ...]:
        """All ways to write it that mean the same image, the longest first."""
        names = [f"{self.registry}/{self.path}"]
        if self.registry == DEFAULT_REGISTRY:
            names.append(self.path)
            if self.path.startswith("library/"):
                names.append(self.path.removeprefix("library/"))
        if self.digest:
            return tuple(f"{name}@{self.digest}" for name in names)
        tagged = [f"{name}:{self.tag}" for name in names]
        return tuple(tagged + names if self.tag == "latest" else tagged)


def parse(reference: str) -> Image | None:
    """Return what the engine would understand; None for an id, and for what is no name at all."""
    if _ID.fullmatch(reference):
        return None
    name, at, digest = reference.partition("@")
    head, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    registry, path = (head, rest) if is_host else (DEFAULT_REGISTRY, name)
    path, colon, tag = path.partition(":")
    if not is_host and "/" not in path:
        path = f"library/{path}"
    is_good = (
        _HOST.fullmatch(registry)
        and _PATH.fullmatch(path)
        and (not colon or _TAG.fullmatch(tag))
        and (not at or _DIGEST.fullmatch(digest))
    )
    if not is_good:
        return None
    registry = registry.lower()
    if registry == "index.docker.io":
        registry = DEFAULT_REGISTRY
    return Image(registry=registry, path=path, tag="" if digest else tag or "latest", digest=digest)


def matches(globs: Globs, image: Image) -> bool:
    """Say whether one of the globs matches one of the spellings."""
    return any(fnmatchcase(name, glob) for glob in globs for name in image.spellings)


def digest_is_approved(rules: ImageRules, reference: str, resolved: str) -> bool:
    """Say whether what the engine found under `reference` is one of the approved images.

    `resolved` is the digest that the runtime reports, empty where it has none. A name with a
    digest can mean nothing else, so that one counts as well.
    """
    if rules.digests is None:
        return True
    image = parse(reference)
    return resolved in rules.digests or (image is not None and image.digest in rules.digests)
