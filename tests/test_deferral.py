"""Signals that come while something must not be cut short arrive after it, even after an error."""

import signal

import pytest

from meanshift_fast._jit.deferral import deferred_signals

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP")]


def work(done, error):
    """Deferred work, in which Ctrl-C comes."""
    with deferred_signals():
        signal.raise_signal(signal.SIGINT)
        done.append("work")
        if error:
            raise error


@pytest.mark.parametrize("error", [None, OSError("a full disk")])
def test_ctrl_c_arrives_when_the_work_has_ended_and_handlers_are_as_before(error):
    done, before = [], [signal.getsignal(number) for number in NUMBERS]
    with pytest.raises(KeyboardInterrupt) as caught:
        work(done, error)
    assert done == ["work"]
    assert caught.value.__context__ is error
    assert [signal.getsignal(number) for number in NUMBERS] == before
