"""Who gets messages: a webhook and a mailbox, as the configuration names them. Queueing is `messages`' to do.

Secrets (the address of a webhook, its token, the password of the mail server) come from environment variables that the
configuration names.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from http.client import HTTPMessage
from typing import IO

from barcode_pipeline.configuration import MessagesSection
from barcode_pipeline.errors import UserError
from barcode_pipeline.messages import Message, Send


def receivers(section: MessagesSection, environment: Mapping[str, str] | None = None) -> dict[str, Send]:
    """What gives a message to each receiver, by name. Where a variable is named and not set, sending is a `UserError`:
    the message waits for it."""
    found = os.environ if environment is None else environment

    def to_webhook(message: Message) -> None:
        address = _secret(section.webhook_variable, found) or section.webhook
        post(address, _secret(section.webhook_token_variable, found), message, section.seconds)

    def to_mailbox(message: Message) -> None:
        mail(section, _secret(section.smtp_password_variable, found), message)

    made: dict[str, Send] = {}
    if section.webhook or section.webhook_variable:
        made["webhook"] = to_webhook
    if section.email_to:
        made["e-mail"] = to_mailbox
    return made


def post(address: str, token: str, message: Message, seconds: float) -> None:
    """POST a message as JSON: key, kind, subject, text. Anything but an answer of 2xx is an error; a redirection is not
    followed, since the token would go along."""
    body = {
        "key": message.key,
        "kind": message.kind,
        "subject": message.subject,
        "text": f"{message.subject}\n{message.text}".strip(),
    }
    request = urllib.request.Request(address, json.dumps(body, ensure_ascii=False).encode(), method="POST")
    request.add_header("Content-Type", "application/json; charset=utf-8")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.build_opener(_NoRedirection).open(request, timeout=seconds):
        pass


def mail(section: MessagesSection, password: str, message: Message) -> None:
    """Send a message as plain text."""
    letter = EmailMessage()
    letter["From"], letter["To"] = section.email_from, ", ".join(section.email_to)
    letter["Subject"] = " ".join(message.subject.split())
    letter.set_content(message.text or message.subject)
    where = (section.smtp_host, section.smtp_port)
    if section.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=section.seconds, context=ssl.create_default_context())
    else:
        server = smtplib.SMTP(*where, timeout=section.seconds)
    with server:
        if section.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if section.smtp_user:
            server.login(section.smtp_user, password)
        server.send_message(letter)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def _secret(variable: str, environment: Mapping[str, str]) -> str:
    if not variable:
        return ""
    value = environment.get(variable, "").strip()
    if not value:
        raise UserError(
            f"[messages] in configuration.toml names the environment variable {variable}, which is not set: set it, or "
            "empty the key."
        )
    return value
