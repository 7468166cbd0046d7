"""A small OIDC provider: tokens for one client, and the key by which they are checked."""

import base64
import http.server
import json
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

NAME = "ours"


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def number(value: int) -> str:
    return text(value.to_bytes((value.bit_length() + 7) // 8))


class Provider:
    """Knows the client `client` with `secret`; its tokens count for `life` seconds. `granted` counts them."""

    def __init__(self, client: str, secret: str, life: int):
        self.client, self.secret, self.life, self.granted = client, secret, life, 0
        self.key = rsa.generate_private_key(65537, 2048)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def keys(self) -> dict:
        public = self.key.public_key().public_numbers()
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": NAME, "n": number(public.n), "e": number(public.e)}]}

    def token(self) -> str:
        now = int(time.time())
        head = {"alg": "RS256", "typ": "JWT", "kid": NAME}
        claims = {"sub": self.client, "aud": "kafka", "iss": self.url, "iat": now, "exp": now + self.life, "scope": "kafka"}
        signed = ".".join(text(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{text(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def grant(self, authorization: str, form: dict) -> tuple[int, dict]:
        expected = base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()
        if form.get("grant_type") != ["client_credentials"] or authorization != f"Basic {expected}":
            return 401, {"error": "invalid_client"}
        self.granted += 1
        return 200, {"access_token": self.token(), "token_type": "Bearer", "expires_in": self.life}

    def handler(provider):
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status: int, body: dict):
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_GET(self):
                self.answer(200, provider.keys())

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                self.answer(*provider.grant(self.headers.get("authorization", ""), form))

            def log_message(self, *_):
                pass

        return Handler
