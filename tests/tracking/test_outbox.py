"""The thread that delivers: nothing is lost, nobody waits, one message when it goes and comes."""

import threading

import pytest

from handssl.tracking.outbox import PAUSES_S, Outbox, UnavailableError

WAIT_S = 20.0


class Receiver:
    """Takes keys, unless it is away or holds its answer back."""

    def __init__(self):
        self.taken, self.attempts = [], 0
        self.away = False
        self.attempted, self.answer = threading.Event(), threading.Event()
        self.answer.set()

    def __call__(self, key):
        self.attempts += 1
        self.attempted.set()
        self.answer.wait(WAIT_S)
        if self.away:
            raise UnavailableError("connection refused")
        self.taken.append(key)


@pytest.fixture
def receiver():
    return Receiver()


def opened(receiver, **options):
    return Outbox("MLflow", receiver, **{"flush_s": 0.01, "pauses_s": (0.01,), **options})


def test_what_is_put_in_arrives_in_order_and_once(receiver):
    outbox = opened(receiver)
    outbox.put("a", "b")
    outbox.put("c", "a", urgent=True)
    assert outbox.wait(WAIT_S)
    assert sorted(set(receiver.taken)) == ["a", "b", "c"]
    assert outbox.close(WAIT_S) == ()
    assert receiver.taken.index("a") < receiver.taken.index("b") < receiver.taken.index("c")


def test_news_of_a_key_that_is_being_delivered_makes_it_due_again(receiver):
    outbox = opened(receiver)
    receiver.answer.clear()
    outbox.put("a", urgent=True)
    assert receiver.attempted.wait(WAIT_S)
    outbox.put("a", urgent=True)
    receiver.answer.set()
    assert outbox.close(WAIT_S) == ()
    assert receiver.taken == ["a", "a"]


def test_several_news_within_the_flush_period_are_one_delivery(receiver):
    outbox = opened(receiver, flush_s=WAIT_S)
    for _ in range(5):
        outbox.put("a")
    assert outbox.close(WAIT_S) == ()
    assert receiver.taken == ["a"]


def test_an_absence_is_said_once_and_so_is_the_return(receiver, caplog):
    outbox, receiver.away = opened(receiver), True
    outbox.put("a", "b", urgent=True)
    assert not outbox.wait(WAIT_S)
    while receiver.attempts < 4:
        receiver.attempted.clear()
        assert receiver.attempted.wait(WAIT_S)
    receiver.away = False
    assert outbox.close(WAIT_S) == ()
    assert sorted(receiver.taken) == ["a", "b"]
    gone, back = (record.getMessage() for record in caplog.records)
    assert "MLflow cannot be written (connection refused); training continues" in gone
    assert "MLflow is reachable again after 0 s" in back


def test_closing_ends_a_pause_at_once_and_tells_what_is_left(receiver):
    outbox, receiver.away = opened(receiver, pauses_s=(10.0 * WAIT_S,)), True
    outbox.put("a", "b", urgent=True)
    assert not outbox.wait(WAIT_S)
    assert outbox.close(WAIT_S) == ("a", "b")
    assert receiver.attempts == 2


def test_closing_does_not_wait_longer_than_it_was_reported(receiver):
    outbox = opened(receiver)
    receiver.answer.clear()  # accepts and hangs
    outbox.put("a", urgent=True)
    assert receiver.attempted.wait(WAIT_S)
    outbox.put("b")
    assert outbox.close(0.01) == ("a", "b")
    receiver.answer.set()


def test_closing_patiently_waits_as_long_as_something_arrives():
    turns = [threading.Event() for _ in range(3)]
    taken = []

    def deliver(key):
        turns[len(taken)].wait(WAIT_S)
        taken.append(key)

    outbox = opened(deliver)
    outbox.put("a", "b", "c")
    thread = threading.Thread(target=lambda: [turn.set() for turn in turns])
    thread.start()
    assert outbox.close(WAIT_S, patient=True) == ()
    thread.join()
    assert taken == ["a", "b", "c"]


def test_a_key_that_cannot_be_shown_is_named_and_holds_up_nobody(caplog):
    taken = []

    def deliver(key):
        if key == "bad":
            raise ValueError("a record somebody has edited")
        taken.append(key)

    outbox = opened(deliver)
    outbox.put("bad", "good", urgent=True)
    assert outbox.close(WAIT_S) == ()
    assert taken == ["good"]
    (record,) = caplog.records
    assert "MLflow: bad cannot be shown (ValueError('a record" in record.getMessage()


def test_an_outbox_that_was_never_used_closes(receiver):
    assert opened(receiver).close(WAIT_S) == ()


def test_pauses_grow_up_to_half_a_minute():
    assert list(PAUSES_S) == sorted(PAUSES_S)
    assert (PAUSES_S[0], PAUSES_S[-1]) == (1.0, 30.0)
