"""A registry of one image, just enough of the protocol for an engine to pull it."""

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """Serves `archive` as the only layer of `repository:1`; `lacks_layer` breaks it."""

    def __init__(self, archive: bytes, *, architecture: str, lacks_layer: bool = False) -> None:
        layer = gzip.compress(archive)
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(archive)]},
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(config, "application/vnd.docker.container.image.v1+json"),
            "layers": [_descriptor(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
        }
        self.manifest = json.dumps(manifest).encode()
        self.blobs = {digest_of(config): config, digest_of(layer): layer}
        if lacks_layer:
            del self.blobs[digest_of(layer)]

    def answer(self, path: str) -> tuple[str, bytes] | None:
        if path.rstrip("/") == "/v2":
            return "application/json", b"{}"
        kind, _, reference = path.removeprefix("/v2/fedflow-test/").partition("/")[2].partition("/")
        if kind == "manifests" and reference in ("1", digest_of(self.manifest)):
            return _MANIFEST, self.manifest
        if kind == "blobs" and reference in self.blobs:
            return "application/octet-stream", self.blobs[reference]
        return None


@contextmanager
def serving(registry: Registry) -> Iterator[str]:
    """Serve on a free port of the loopback; yields the address as image names begin with it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = registry.answer(self.path)
            kind, body = found or ("application/json", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", digest_of(body))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "size": len(data), "digest": digest_of(data)}
