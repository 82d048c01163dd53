"""The ring where the machine has no room for another thread: nobody waits for ever, and nothing is held."""

import threading

import pytest

from edged.offload.ring import BUFFER_BYTES, Ring


@pytest.mark.parametrize("most", [0, 1, 2])
def test_thread_that_cannot_be_started_leaves_none_of_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    start, started = threading.Thread.start, list[threading.Thread]()

    def start_few(thread: threading.Thread) -> None:
        if len(started) == most:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    with Ring() as ring:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start_few)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                ring.pump(lambda buffer, _: len(buffer), [lambda _, __: None] * 3)
        assert len(started) == most
        assert not any(thread.is_alive() for thread in started)
        taken: list[int] = []
        lengths = iter((BUFFER_BYTES, BUFFER_BYTES, 5))
        assert ring.pump(lambda _, __: next(lengths), [lambda view, _: taken.append(len(view))]) == 2 * BUFFER_BYTES + 5
        assert taken == [BUFFER_BYTES, BUFFER_BYTES, 5]
