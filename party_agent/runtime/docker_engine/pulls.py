"""Pure: what the engine's many messages during a pull amount to."""

from typing import Any

_BEGINS = "Pulling fs layer"
_DONE = ("Pull complete", "Already exists")


class PullProgress:
    """Counts layers; `text` changes only when a layer is complete."""

    def __init__(self, image_url: str) -> None:
        self.text = f"Pulling {image_url}"
        self._image_url = image_url
        self._layers: dict[str, bool] = {}

    def tell(self, message: dict[str, Any]) -> bool:
        """Take one of the engine's messages; say whether `text` has changed."""
        status = message.get("status")
        if status not in (_BEGINS, *_DONE):
            return False
        self._layers[str(message.get("id"))] = status in _DONE
        before = self.text
        done = sum(self._layers.values())
        if done:
            self.text = f"Pulling {self._image_url}: {done} of {len(self._layers)} layers"
        return self.text != before
