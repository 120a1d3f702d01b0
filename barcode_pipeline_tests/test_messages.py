from __future__ import annotations

import itertools
import multiprocessing
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from barcode_pipeline.configuration import Configuration, MessagesSection
from barcode_pipeline.errors import UserError
from barcode_pipeline.messages import FIRST_WAIT, GIVEN_UP_AFTER, KEPT_FOR, LEASE, Message, Outbox
from barcode_pipeline.receivers import receivers
from barcode_pipeline_tests.receiving import Receiver, receiving

FAILED = Message("failed_night 2025-07-01", "failed_night", "The night of 2025-07-01 failed", "no rows")
OTHER = Message("late_night 2025-07-02", "late_night", "late", "")
NOW = 1_000_000.0


def nothing(_: str) -> None: ...


def to(address: str, **known: object) -> MessagesSection:
    return MessagesSection.model_validate({"webhook": address, "seconds": 1.0, **known})


def outbox(path: Path, section: MessagesSection, **environment: str) -> Outbox:
    return Outbox(path / "data" / "outbox.sqlite", receivers(section, environment))


def arrived(box: Outbox, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while box.waiting() and time.monotonic() < end:
        time.sleep(0.02)
    return not box.waiting()


def test_a_message_arrives_once(tmp_path: Path) -> None:
    said: list[str] = []
    with receiving(Receiver()) as receiver:
        box = outbox(tmp_path, to(receiver.address))
        assert box.tell([FAILED], said.append) == [FAILED]
        assert arrived(box)
        assert box.tell([FAILED], said.append) == []
        assert outbox(tmp_path, to(receiver.address)).tell([FAILED, OTHER], said.append) == [OTHER]
        assert arrived(box)
    assert [body["key"] for body in receiver.got] == [FAILED.key, OTHER.key]
    assert receiver.got[0]["text"] == "The night of 2025-07-01 failed\nno rows"
    assert said == ["The night of 2025-07-01 failed: no rows", "late"]


def test_without_a_receiver_it_stands_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = outbox(tmp_path, MessagesSection())
    assert box.tell([FAILED]) == [FAILED]
    assert box.tell([FAILED]) == []
    assert caplog.messages == ["The night of 2025-07-01 failed: no rows"]
    assert box.waiting() == [] and box.send_waiting() == []


def test_a_dead_receiver_delays_nothing_and_gets_it_later(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = outbox(tmp_path, to(f"http://127.0.0.1:{port}"))
    started = time.monotonic()
    box.tell([FAILED, OTHER], nothing, NOW)
    for thread in box.send_waiting(5, NOW):
        thread.join(5)
    assert time.monotonic() - started < 3
    waiting = box.waiting()
    assert {one.message for one in waiting} == {FAILED, OTHER}
    assert {(one.attempts, one.problem) for one in waiting} == {(1, "URLError")}
    with receiving(Receiver()) as receiver:
        again = outbox(tmp_path, to(receiver.address))
        assert again.send_waiting(5, NOW + FIRST_WAIT - 1) == []
        again.send_waiting(5, NOW + FIRST_WAIT + 1)
        assert arrived(again)
    assert [body["key"] for body in receiver.got] == [FAILED.key, OTHER.key]


@pytest.mark.parametrize("receiver", [Receiver(seconds=30), Receiver(status=0)], ids=["hangs", "drips"])
def test_one_that_hangs_or_drips_delays_nothing(tmp_path: Path, receiver: Receiver) -> None:
    with receiving(receiver):
        box = outbox(tmp_path, to(receiver.address))
        started = time.monotonic()
        box.tell([FAILED], nothing)
        box.tell([OTHER], nothing)
        box.send_waiting(0.5)
        assert time.monotonic() - started < 4
        assert {one.message for one in box.waiting()} == {FAILED, OTHER}
        # One thread at a time keeps trying, and one message at a time.
        assert sum(thread.name == "to webhook" for thread in threading.enumerate()) <= 2
        asked = len(receiver.got)  # a second time only where the first has been given up, as on a busy machine
        assert 1 <= asked <= 1 + max(one.attempts for one in box.waiting())


def test_one_receiver_does_not_wait_for_the_other(tmp_path: Path) -> None:
    hang, got = threading.Event(), []
    box = Outbox(tmp_path / "outbox.sqlite", {"a": lambda _: hang.wait(20) or None, "b": got.append})
    started = time.monotonic()
    box.tell([FAILED], nothing)
    assert got == [FAILED] and time.monotonic() - started < 3
    hang.set()
    assert arrived(box)


@pytest.mark.parametrize("status", [302, 400, 401, 500, 503])
def test_an_answer_that_is_no_yes_is_none(tmp_path: Path, status: int) -> None:
    with receiving(Receiver(status=status)) as receiver:
        box = outbox(tmp_path, to(receiver.address))
        box.tell([FAILED], nothing, NOW)
        for thread in box.send_waiting(5, NOW):
            thread.join(5)
        (waiting,) = box.waiting()
        assert (waiting.attempts, waiting.problem) == (1, f"HTTP {status}")
        assert len(receiver.got) == 1


def test_attempts_come_less_and_less_often_and_end(tmp_path: Path) -> None:
    tried: list[float] = []

    def refuse(_: Message) -> None:
        tried.append(now)
        raise OSError

    box = Outbox(tmp_path / "outbox.sqlite", {"a": refuse})
    now = NOW
    box.tell([FAILED], nothing, now)
    while box.waiting():
        assert now < NOW + GIVEN_UP_AFTER + 7200
        with box._file() as file:
            now = file.execute("SELECT MIN(next) FROM delivery").fetchone()[0]
        for thread in box.send_waiting(5, now):
            thread.join(5)
    apart = [round(after - before) for before, after in itertools.pairwise(tried)]
    assert apart[:5] == [60, 120, 240, 480, 960] and max(apart) == 3600
    assert box.waiting() == [] and now <= NOW + GIVEN_UP_AFTER + 3700
    assert box.tell([FAILED], nothing, now) == [], "given up is told all the same"
    assert box.tell([FAILED], nothing, NOW + KEPT_FOR + 1) == [FAILED]


def test_a_message_that_is_being_sent_is_nobody_elses(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "outbox.sqlite", {"a": nothing})
    with box._file() as file:
        file.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?)", (*vars(FAILED).values(), NOW))
        file.execute("INSERT INTO delivery (key, receiver, next) VALUES (?, 'a', ?)", (FAILED.key, NOW))
    assert box._claim("a", NOW) == FAILED
    assert box._claim("a", NOW + LEASE - 1) is None
    assert box._claim("a", NOW + LEASE + 1) == FAILED


def _tell(path: Path, address: str) -> None:
    box = outbox(path, to(address))
    box.tell([Message(f"{number}", "high_alert", f"{number}", "") for number in range(20)], nothing)
    assert arrived(box, 30)


def test_several_processes_tell_the_same_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with receiving(Receiver()) as receiver:
        processes = [context.Process(target=_tell, args=(tmp_path, receiver.address)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sorted(int(body["key"]) for body in receiver.got) == list(range(20))


def test_secrets_come_from_the_environment(tmp_path: Path) -> None:
    with receiving(Receiver()) as receiver:
        section = to("", webhook_variable="HOOK", webhook_token_variable="TOKEN")
        box = outbox(tmp_path, section, HOOK=receiver.address, TOKEN="secret")
        box.tell([FAILED], nothing)
        assert arrived(box)
    assert receiver.headers[0]["Authorization"] == "Bearer secret"


def test_a_variable_that_is_not_set_is_named_and_the_message_waits(tmp_path: Path) -> None:
    box = outbox(tmp_path, to("http://127.0.0.1:9", webhook_token_variable="TOKEN"))
    box.tell([FAILED], nothing, NOW)
    (waiting,) = box.waiting()
    assert "TOKEN, which is not set" in waiting.problem


def test_what_goes_wrong_does_not_show_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = outbox(tmp_path, to("", webhook_variable="HOOK"), HOOK="http://127.0.0.1:1/hooks/geheim")
    box.tell([FAILED], nothing, NOW)
    (waiting,) = box.waiting()
    assert waiting.problem and "geheim" not in waiting.problem + caplog.text


# ------------------------------------------------------------------ e-mail


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """Enough of SMTP for one letter; (port, what it was sent)."""
    letters: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, connection.makefile("rw", newline="\r\n") as stream:

                def answer(text: str, stream: object = stream) -> None:
                    stream.write(text + "\n")  # type: ignore[attr-defined]
                    stream.flush()  # type: ignore[attr-defined]

                answer("220 ready")
                body: list[str] | None = None
                for line in stream:
                    line = line.rstrip("\r\n")
                    if body is not None and line != ".":
                        body.append(line)
                    elif body is not None:
                        letters.append("\n".join(body))
                        body = None
                        answer("250 taken")
                    elif line.upper().startswith("DATA"):
                        body = []
                        answer("354 go on")
                    elif line.upper().startswith("QUIT"):
                        answer("221 bye")
                        break
                    else:
                        answer("250 fine")

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1], letters
    finally:
        server.close()


MAIL = {
    "email_to": ["a@example.org", "b@example.org"], "email_from": "pipeline@example.org", "smtp_host": "127.0.0.1",
    "smtp_security": "none",
}  # fmt: skip


def test_a_letter_is_sent(tmp_path: Path) -> None:
    with mail_server() as (port, letters):
        box = outbox(tmp_path, MessagesSection.model_validate({**MAIL, "smtp_port": port}))
        box.tell([Message("k", "high_alert", "Größe\nin two lines", "Grund: é")], nothing)
        assert arrived(box)
    (letter,) = letters
    assert "To: a@example.org, b@example.org" in letter and "From: pipeline@example.org" in letter
    assert "\nin two lines" not in letter


def test_without_tls_where_it_is_asked_for_nothing_is_sent(tmp_path: Path) -> None:
    with mail_server() as (port, letters):
        section = MessagesSection.model_validate({**MAIL, "smtp_port": port, "smtp_security": "starttls"})
        with pytest.raises(smtplib.SMTPException):
            receivers(section, {})["e-mail"](FAILED)
    assert not letters


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        ({"email_to": ["a@example.org"]}, "email_to needs smtp_host and email_from"),
        ({**MAIL, "email_to": ["nobody"]}, "is no e-mail address"),
        ({"webhook": "file:///etc/passwd"}, "webhook"),
        ({"webhook_token_variable": "a b"}, "webhook_token_variable"),
    ],
)
def test_the_configuration_is_checked(messages: dict[str, object], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Configuration.model_validate({"messages": messages})


def test_user_errors_are_named() -> None:
    with pytest.raises(UserError, match="PASSWORD"):
        receivers(MessagesSection.model_validate({**MAIL, "smtp_password_variable": "PASSWORD"}), {})["e-mail"](FAILED)
