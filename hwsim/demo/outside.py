"""Those outside the demo's station who bound its ledger in time: an authority of `openssl ts`, and two witnesses.

In life they are other people's. What a verifier must bring along of them lies in the folder `trust`.
"""

from contextlib import ExitStack
from typing import Final, Self

from hwsim.authority import Authority, Server
from hwsim.demo.stage import Stage
from hwsim.witness import HonestWitness

COUNT: Final = 3
"""One authority and two witnesses."""

_NAMES: Final = ("hq", "next-door")


class Outside:
    """The authority and the witnesses, while the context lasts."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._running = ExitStack()
        self._authority = Authority(stage.authority, name="Demo time-stamping authority")
        self._witnesses: dict[str, HonestWitness] = {}
        self._url = ""

    def __enter__(self) -> Self:
        """Make them; the authority answers from now on."""
        self._authority.make()
        self._stage.tsa.write_bytes(self._authority.root_pem)
        self._url = self._running.enter_context(Server(self._authority)).url
        for name in _NAMES:
            self._witnesses[name] = HonestWitness(self._stage.witnesses / name, f"evidence.example/{name}")
        lines = [f"witness {name} {each.vkey}" for name, each in self._witnesses.items()]
        lines += [f"group both all {' '.join(_NAMES)}", "quorum both"]
        self._stage.policy.write_text("\n".join(lines) + "\n", "utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def witness(self, vkey: str) -> None:
        """Start the witnesses, for the ledger with this key."""
        for each in self._witnesses.values():
            each.know(vkey)
            self._running.enter_context(each)

    def tables(self) -> str:
        """Give the tables of `station.toml` that name them."""
        lines = ["[[anchors.authority]]", 'id = "tsa"', f'url = "{self._url}"', f'root = "{self._stage.tsa}"']
        for name, each in self._witnesses.items():
            lines += ["", "[[anchors.witness]]", f'name = "{name}"', f'url = "{each.url}"', f'vkey = "{each.vkey}"']
        return "\n" + "\n".join(lines) + "\n"
