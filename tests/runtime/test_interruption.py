from __future__ import annotations

import signal
import threading

import pytest

from handssl.runtime.interruption import Interruption


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_outside_at_once_a_signal_is_only_noted(name: signal.Signals) -> None:
    with Interruption() as interruption:
        signal.raise_signal(name)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            interruption.raise_if_requested()


def test_inside_at_once_the_first_signal_interrupts_and_the_second_is_ignored() -> None:
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.at_once():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # during clean-up


def test_a_signal_that_came_before_at_once_interrupts_at_its_start() -> None:
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), interruption.at_once():
            pytest.fail("the block was entered")


def test_the_previous_handlers_come_back() -> None:
    before = [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)]
    with Interruption():
        pass
    assert [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)] == before


def test_it_takes_the_signals_back_from_another_that_took_them_meanwhile() -> None:
    with Interruption() as interruption:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        interruption.listen()
        signal.raise_signal(signal.SIGTERM)
        assert interruption.requested


def test_in_another_thread_it_does_nothing() -> None:
    seen: list[bool] = []

    def work() -> None:
        with Interruption() as interruption:
            interruption.listen()
            seen.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
