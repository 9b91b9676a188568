"""The bridge between threads and the window: steps, ends, cancelling, the last question."""

import threading
import time

import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari_srgan._gui.runner import End, LastQuestion, Runner, RunnerBar
from napari_srgan.errors import InputError
from napari_srgan.tasks.steps import Progress

WAIT = 10_000


class Endless:
    """A work that notes when it was closed."""

    def __init__(self):
        self.closed = threading.Event()

    def __call__(self):
        try:
            while True:
                yield Progress(1, 4)
                time.sleep(0.01)
        finally:
            self.closed.set()


def three():
    yield from range(3)
    return "made"


def raising(error):
    def work():
        yield Progress(0, 0)
        raise error

    return work


def test_steps_and_result_come_in_order(qtbot):
    runner, told = Runner(), []
    runner.stepped.connect(told.append)
    with qtbot.waitSignal(runner.ended, timeout=WAIT) as ended:
        runner.start(three)
        assert runner.running
    assert told == [0, 1, 2]
    assert ended.args == [End(result="made")]
    assert not runner.running


@pytest.mark.parametrize(
    ("error", "words", "logged"),
    [
        (InputError("Nothing is drawn."), "Nothing is drawn.", False),
        (OSError(28, "No space left on device"), "No space left on device.", True),
        (MemoryError(), "not enough memory", True),
        (RuntimeError("tensor"), "defect of napari-srgan", True),
    ],
)
def test_an_error_is_a_sentence_and_the_traceback_is_in_the_log(
    qtbot, caplog, error, words, logged
):
    runner = Runner()
    with qtbot.waitSignal(runner.ended, timeout=WAIT) as ended:
        runner.start(raising(error))
    assert words in ended.args[0].error
    assert ended.args[0].error.endswith(".")
    assert ("Traceback" in caplog.text) == logged


def test_cancelling_closes_the_work(qtbot):
    runner, work = Runner(), Endless()
    with qtbot.waitSignal(runner.stepped, timeout=WAIT):
        runner.start(work)
    with qtbot.waitSignal(runner.ended, timeout=WAIT) as ended:
        runner.cancel()
    assert ended.args == [End(cancelled=True)]
    assert work.closed.is_set()


def test_a_stopped_runner_tells_nobody_and_can_start_again(qtbot):
    runner, work, told = Runner(), Endless(), []
    runner.ended.connect(told.append)
    with qtbot.waitSignal(runner.stepped, timeout=WAIT):
        runner.start(work)
    runner.stop()
    assert not runner.running
    qtbot.waitUntil(work.closed.is_set, timeout=WAIT)
    qtbot.wait(50)
    assert told == []
    with qtbot.waitSignal(runner.ended, timeout=WAIT):
        runner.start(three)


def test_the_last_question_counts(qtbot):
    questions, found = LastQuestion(), []
    questions.found.connect(found.append)
    first = Endless()
    questions.ask(first)
    qtbot.waitUntil(lambda: bool(found), timeout=WAIT)
    found.clear()
    with qtbot.waitSignal(questions.idle, timeout=WAIT):
        questions.ask(raising(InputError("given up")))
        questions.ask(three)
    assert first.closed.is_set()
    assert found == [0, 1, 2]
    assert not questions.busy


def test_the_bar_shows_or_says_how_it_ended(qtbot, caplog):
    bar, shown, said = RunnerBar(), [], []
    qtbot.addWidget(bar)

    def say(text, error=False):
        said.append((text, error))

    def broken(result):
        raise ValueError("no such layer")

    for work, show in ((three, shown.append), (raising(InputError("No.")), None), (three, broken)):
        with qtbot.waitSignal(bar.ended, timeout=WAIT):
            bar.start(steps(work), show, say)
            assert not bar.isHidden()
        assert bar.isHidden() and not bar.running
    assert shown == ["made"]
    assert said[0] == ("No.", True)
    assert "defect" in said[1][0] and said[1][1]
    assert "no such layer" in caplog.text
    with qtbot.waitSignal(bar.ended, timeout=WAIT):
        bar.start(Endless(), None, say, cancelled="Given up.")
        qtbot.waitUntil(lambda: bar.bar.value() == 100, timeout=WAIT)
        assert bar.text.text() == "1 of 4 tiles"
        bar.cancel_button.click()
    assert said[-1] == ("Given up.", False)


def steps(work):
    """The same work, telling in steps."""

    def told():
        run = work()
        while True:
            try:
                next(run)
            except StopIteration as end:
                return end.value
            yield Progress(0, 0)

    return told
