"""An identity provider of this test: a real HTTP server with discovery, keys and a pen."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "fedflow"


class LocalIssuer:
    """Serves until `stop`; `keys` maps key ids to private keys, and may be changed."""

    def __init__(self, port=0):
        self.keys = {"one": rsa.generate_private_key(65537, 2048)}
        self.asked = 0
        self.claimed_issuer = None
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                body = json.dumps(issuer.document(self.path)).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self):
        """Answer no more; twice is once."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def document(self, path):
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.claimed_issuer or self.url, "jwks_uri": f"{self.url}/jwks"}
        return {"keys": [self._public(key_id, key) for key_id, key in self.keys.items()]}

    def _public(self, key_id, key):
        if isinstance(key, ec.EllipticCurvePrivateKey):
            written = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        else:
            written = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return {**written, "kid": key_id, "use": "sig"}

    def public_pem(self, key_id="one"):
        return (
            self.keys[key_id]
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def claims(self, **changes):
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ana",
            "iat": now,
            "exp": now + 600,
            "roles": ["lab-members"],
            **changes,
        }
        return {key: value for key, value in claims.items() if value is not None}

    def sign(self, *, key_id="one", key=None, algorithm="RS256", **changes):
        return jwt.encode(
            self.claims(**changes),
            key or self.keys[key_id],
            algorithm=algorithm,
            headers={"kid": key_id},
        )
