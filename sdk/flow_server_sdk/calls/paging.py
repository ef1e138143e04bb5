"""Page and limit as every list call takes them."""

from typing import TypedDict

from flow_server_sdk.payloads import forms


class Page(TypedDict):
    """The two fields of every list request."""

    page: int
    limit: int


def page_of(page: object, limit: object) -> Page:
    """Return the checked pair.

    Raises:
        InvalidArgument: one is not a whole number that travels.
    """
    return Page(page=forms.integer("page", page), limit=forms.integer("limit", limit))
