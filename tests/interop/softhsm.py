"""SoftHSM with a token of one's own, and keys in it that OpenSC's ``pkcs11-tool`` has made."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.world import run

TOKEN = "release"
PIN = "84718471"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
KEY_TYPES = {
    "p256": "EC:prime256v1",
    "p384": "EC:secp384r1",
    "p521": "EC:secp521r1",
    "ed25519": "EC:edwards25519",
    "rsa2048": "rsa:2048",
    "rsa3072": "rsa:3072",
    "rsa4096": "rsa:4096",
}


NO_SIGNER = """
import sys
import pkcs11
from pkcs11.util.ec import encode_named_curve_parameters
module, token, pin, label = sys.argv[1:]
with pkcs11.lib(module).get_token(token_label=token).open(rw=True, user_pin=pin) as session:
    curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    made = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
    made.generate_keypair(store=True, label=label, private_template={pkcs11.Attribute.SIGN: False})
"""


@dataclass(frozen=True, slots=True)
class SoftHsm:
    """A folder with a token; ``environment`` is what its module needs."""

    folder: Path
    module: str

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def uri(self, label: str, *more: str, token: str = TOKEN) -> str:
        query = "&".join((f"module-path={self.module}", *more))
        return f"pkcs11:token={token};object={label}?{query}"

    def make_token(self, label: str) -> None:
        util = require("softhsm2-util").path
        self._run([util, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12341234"])

    def make_key(self, kind: str, label: str, identifier: str, *more: str) -> None:
        """With ``kind`` of ``KEY_TYPES``; ``identifier`` is hex."""
        named = ["--key-type", KEY_TYPES[kind], "--label", label, "--id", identifier]
        self.tool("--keypairgen", *named, *(more or ("--usage-sign",)))

    def make_key_that_may_not_sign(self, label: str) -> None:
        """SoftHSM lets every key sign that is not told otherwise, and ``pkcs11-tool`` can't tell it."""
        self._run([sys.executable, "-c", NO_SIGNER, self.module, TOKEN, PIN, label])

    def tool(self, *arguments: str) -> str:
        tool = require("pkcs11-tool").path
        login = ["--module", self.module, "--token-label", TOKEN, "--login", "--pin", PIN]
        return self._run([tool, *login, *arguments])

    def _run(self, command: Sequence[object]) -> str:
        words = [str(one) for one in command]
        return run(words, {"PATH": os.environ["PATH"], **self.environment}, self.folder).stdout


def make_softhsm(folder: Path, *, token: bool = True) -> SoftHsm:
    """With one token, ``TOKEN``, and no key. Skipped without SoftHSM."""
    require("softhsm2-util")
    require("pkcs11-tool")
    module = next((one for one in MODULES if Path(one).is_file()), None)
    if module is None:
        pytest.fail(f"softhsm2-util is here, and its module is in none of {', '.join(MODULES)}")
    (folder / "tokens").mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    made = SoftHsm(folder, module)
    if token:
        made.make_token(TOKEN)
    return made
