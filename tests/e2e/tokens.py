# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of service accounts as a cluster's API server makes them, and key sets, with the openssl program: what signs
here shares no code with what verifies there."""
import base64
import json
import os
import subprocess
import tempfile
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*argv, data=None):
    return subprocess.run(["openssl", *argv], input=data, capture_output=True, check=True).stdout


class Key:
    """One signing key of a cluster: RS256, or ES256 with kind="ec"."""

    def __init__(self, kid, kind="rsa", bits=2048):
        self.kid = kid
        self.alg = "RS256" if kind == "rsa" else "ES256"
        fd, self.path = tempfile.mkstemp(prefix="tulle-key-")
        os.close(fd)
        if kind == "rsa":
            openssl("genrsa", "-out", self.path, str(bits))
        else:
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path)

    def __del__(self):
        os.unlink(self.path)

    def jwk(self):
        common = {"use": "sig", "kid": self.kid, "alg": self.alg}
        if self.alg == "RS256":
            text = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode()
            return {"kty": "RSA", "n": b64(bytes.fromhex(text.split("=")[1].strip())), "e": "AQAB", **common}
        point = openssl("ec", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
        return {"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:]), **common}

    def sign(self, data):
        sig = openssl("dgst", "-sha256", "-sign", self.path, data=data)
        if self.alg == "RS256":
            return sig
        numbers, at = [], 2  # SEQUENCE { INTEGER r, INTEGER s } to r || s
        for _ in range(2):
            n = sig[at + 1]
            numbers.append(int.from_bytes(sig[at + 2:at + 2 + n], "big").to_bytes(32, "big"))
            at += 2 + n
        return b"".join(numbers)


ISSUER = "https://kubernetes.default.svc.cluster.local"


def claims(namespace="shop", account="web", pod="web-7d9f", uid="c0ffee00-0000-4000-8000-000000000001", **changes):
    now = int(time.time())
    out = {
        "aud": ["tulle"], "exp": now + 3600, "iat": now, "iss": ISSUER, "jti": "0d3c8a52-7c5f-4ac4-9b1a-2f6f5cf0f6a1",
        "kubernetes.io": {"namespace": namespace, "node": {"name": "node-1", "uid": "9a1c"},
                          "pod": {"name": pod, "uid": uid}, "serviceaccount": {"name": account, "uid": "5a5a-" + account}},
        "nbf": now, "sub": f"system:serviceaccount:{namespace}:{account}"}
    out.update(changes)
    return {k: v for k, v in out.items() if v is not None}


def token(key, body=None, header=None, **changes):
    head = {"alg": key.alg, "kid": key.kid} if header is None else header
    signed = ".".join(b64(json.dumps(x).encode()) for x in (head, body or claims(**changes))).encode()
    return signed.decode() + "." + b64(key.sign(signed))


def key_set(*keys):
    return json.dumps({"keys": [k.jwk() for k in keys]})
