"""Identifiers: their lengths, how new ones are made, and how names are compared.

Template ids have 30 lower-case hex digits and all others 32, as users of the original
FlowServerSdk know them.
"""

import re
import unicodedata
import uuid

TEMPLATE_ID_LENGTH = 30
ID_LENGTH = 32

# A party's id becomes part of container names, labels and environment variables.
PARTY_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def new_template_id() -> str:
    """Return 30 random hex digits."""
    return uuid.uuid4().hex[:TEMPLATE_ID_LENGTH]


def new_id() -> str:
    """Return 32 random hex digits, for everything that is not a template."""
    return uuid.uuid4().hex


def is_party_id(text: str) -> bool:
    """Say whether `text` can name a party: 1 to 63 letters, digits, `_`, `.` or `-`."""
    return PARTY_ID_PATTERN.fullmatch(text) is not None


def name_key(name: str) -> str:
    """Return the form under which two names count as the same name.

    Users see `TPL_A` and `tpl_a ` as one name, so case, compatibility forms and outer
    white space don't make a difference.
    """
    # Folding can leave a form that is not normal, so both are done until nothing changes.
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded).casefold().strip()
