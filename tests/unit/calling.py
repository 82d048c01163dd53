"""Calling `edged` as a shell does: in this process where that is enough, in one of its own where it is not."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edged.cli.main import main

EDGED = Path(sys.executable).with_name("edged")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str


class Caller:
    """Calls commands of one station."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object, config: Path | None = None) -> Said:
        """Run a command in this process."""
        if config is not None:
            arguments = (*arguments, "--config", config)
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(each) for each in arguments])
        said = self._capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Said(code=caught.value.code, out=said.out, err=said.err)


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command = [str(EDGED), *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return subprocess.Popen(command, text=True, env=environment, **options)  # type: ignore[call-overload,no-any-return]
