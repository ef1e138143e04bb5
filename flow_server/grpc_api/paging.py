"""Page and limit of a listing, with the defaults that users of the original know."""

from typing import Protocol

DEFAULT_PAGE = 1
DEFAULT_LIMIT = 10


class _Paged(Protocol):
    page: int
    limit: int

    def HasField(self, field_name: str) -> bool: ...


def page_of(request: _Paged) -> tuple[int, int]:
    """Return (page, limit), absent ones as their defaults; limits are checked by the service."""
    page = request.page if request.HasField("page") else DEFAULT_PAGE
    limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
    return page, limit
