"""Passwords and keys: refused in specs, which are stored and shown, and masked in every text that is logged, stored or shown.

Credentials are given by the environment of the process (a tracking URI, AWS_SECRET_ACCESS_KEY, …), by Streamlit's secrets, whose
top-level entries become environment variables, or by Spark's own configuration.
"""

import logging
import os
import re
from collections.abc import Iterator

MASK = "…"
_WORDS = r"(?:token|secret|passw(?:or)?d|passphrase|pwd|signature|credentials?|api[-_.]?key|access[-_.]?key(?:[-_.]?id)?|secret[-_.]?key)"
_STOPS = r"\s\"<>"
# of ://user:password@, the last @ of the run of text ends the password, since people forget to escape one in it; of schemes that have
# ports, a number and then a slash are a port. Patterns begin with what is rare and are bounded: a log has lines of any length.
_USERINFO = re.compile(rf"(?P<head>://[^{_STOPS}/?#:\[]{{0,300}}):(?P<password>[^{_STOPS}]{{1,1000}})(?=@)")
_PORTS = re.compile(r"(?:^|[^\w+.-])(?:https?|hdfs|spark|k8s|wss?|ftp|dbfs|webhdfs)$", re.IGNORECASE)
_PORT = re.compile(r"\d{1,5}(?:[/?#]|$)")
_TOKEN = re.compile(rf"(?P<head>https?://)[^{_STOPS}/?#:@]{{1,1000}}(?=@)", re.IGNORECASE)
_PARAMETER = re.compile(rf"(?P<head>[?&;](?:[\w.%-]{{0,100}}{_WORDS}|sig|auth)=)[^&#{_STOPS}]+", re.IGNORECASE)
_NAMED = re.compile(
    rf"(?P<head>(?<![\w.?&;%-])[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|api[-_.]?key|secret[-_.]?(?:access[-_.]?)?key|"
    rf"(?:access|session|auth|sas|security)[-_.]?token)(?:=\"?|\"\s*:\s*\"))(?P<value>[^{_STOPS}&;,]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<head>\b(?:bearer|authorization:\s*basic)\s+)[\w.~+/=-]{16,}", re.IGNORECASE)
_VARIABLE = re.compile(r"(?:SECRET|TOKEN|PASSWORD|PASSWD|API_KEY|ACCESS_KEY|SECRET_KEY|WEBHOOK)$")
_SHORTEST = 8  # of the value of a variable: a shorter one may be any word


def mask(text: str) -> str:
    """A text without the passwords and keys in it: of URIs, of name=value pairs, and those that this process has by its environment.

    Text without any is returned as it is.
    """
    if "://" in text and "@" in text:
        text = _TOKEN.sub(rf"\g<head>{MASK}", _USERINFO.sub(_without_password, text))
    if "=" in text or '"' in text:
        text = _NAMED.sub(rf"\g<head>{MASK}", _PARAMETER.sub(rf"\g<head>{MASK}", text))
    if "earer" in text or "uthorization" in text:
        text = _BEARER.sub(rf"\g<head>{MASK}", text)
    for value in _of_environment():
        text = text.replace(value, MASK)
    return text


def _without_password(found: re.Match[str]) -> str:
    head, password = found["head"], found["password"]
    if _PORT.match(password) and _PORTS.search(found.string[max(0, found.start() - 12) : found.start()]):
        return found[0]
    return f"{head}:{MASK}"


def _of_environment() -> list[str]:
    return [value for name, value in os.environ.items() if len(value) >= _SHORTEST and _VARIABLE.search(name)]


def has_credentials(text: str) -> bool:
    """Whether a URI in a text holds a password, a token or a signature."""
    if "://" not in text:
        return False
    return any(one.sub(put, text) != text for one, put in ((_USERINFO, _without_password), (_TOKEN, ""), (_PARAMETER, "")))


def refuse_credentials(value: object, where: str = "") -> None:
    """Raise ValueError where a string in a nested value holds a URI with credentials; says which, masked, and how to give them."""
    for name, text in _strings(value, where):
        if has_credentials(text):
            raise ValueError(
                f"{name or 'A setting'} holds a password or key ({mask(text)[:200]}); specs are stored and shown. Write the address "
                "without it, and give credentials by the environment (such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), by Streamlit's "
                "secrets, or by Spark's configuration (spark.hadoop.… in spark-defaults.conf)."
            )


def _strings(value: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, f"{where}.{name}" if where else str(name))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner, where)


class MaskSecrets(logging.Filter):
    """Masks each record of a handler, its traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record; always True."""
        record.msg, record.args = mask(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
        return True
