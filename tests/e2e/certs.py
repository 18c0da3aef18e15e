# SPDX-License-Identifier: GPL-3.0-or-later
"""A root of the test's own, and leaves below it that are good or wrong in one way, made with the openssl command."""
import os

import netns


def openssl(*args):
    netns.run("openssl", *args)


class Authority:
    """A P-256 root for a trust domain; `pem` and `key` can be imported into certd."""

    def __init__(self, folder, name, domain, days=3650):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.domain = folder, domain
        self.pem, self.key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
        sec1 = self.key + ".sec1"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", sec1)
        openssl("pkcs8", "-topk8", "-nocrypt", "-in", sec1, "-out", self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-days", str(days), "-sha256", "-subj", f"/O={name}",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-addext", f"subjectAltName=URI:spiffe://{domain}", "-out", self.pem)

    def leaf(self, name, *ids, ca=False, usage="critical,digitalSignature", start=None, end=None):
        """A certificate with the given URI names; returns the paths of certificate and key."""
        pem, key = (os.path.join(self.folder, f"{name}.{kind}") for kind in ("pem", "key"))
        csr, ext = os.path.join(self.folder, name + ".csr"), os.path.join(self.folder, name + ".ext")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", f"/O={name}", "-out", csr)
        with open(ext, "w", encoding="ascii") as f:
            f.write(f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}\nkeyUsage={usage}\n"
                    "extendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
            if ids:
                f.write("subjectAltName=" + ",".join(f"URI:{i}" for i in ids) + "\n")
        if start is None:
            openssl("x509", "-req", "-in", csr, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                    "-sha256", "-extfile", ext, "-out", pem)
        else:
            self._dated(csr, ext, pem, start, end)
        return pem, key

    def _dated(self, csr, ext, pem, start, end):
        """`openssl x509` cannot set both ends: `openssl ca` can."""
        base = os.path.join(self.folder, "db")
        os.makedirs(base, exist_ok=True)
        for name, text in (("index", ""), ("serial", os.urandom(8).hex() + "\n")):
            with open(os.path.join(base, name), "w", encoding="ascii") as f:
                f.write(text)
        conf = os.path.join(base, "conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index\nserial={base}/serial\nnew_certs_dir={base}\n"
                    "default_md=sha256\npolicy=p\n[p]\norganizationName=optional\n")
        openssl("ca", "-batch", "-notext", "-config", conf, "-cert", self.pem, "-keyfile", self.key, "-in", csr,
                "-extfile", ext, "-startdate", start, "-enddate", end, "-out", pem)
