# fmt: off
# isort: skip_file
from . import attempts as attempts, segments as segments
from .context import RunContext as RunContext, refuse_unfit as refuse_unfit, run_context as run_context
from .journal import RESUMED as RESUMED, Journal as Journal, read_curve as read_curve, read_journal as read_journal, say_why as say_why
from .process import (
    DUMP as DUMP, RENDEZVOUS as RENDEZVOUS, TOKEN as TOKEN, LogFormat as LogFormat, answer_with_stacks as answer_with_stacks,
    end_with_launcher as end_with_launcher,
    log_and_report_errors as log_and_report_errors, peak_memory as peak_memory,
)
from .room import release as release, reserve as reserve, with_reserve as with_reserve
from .spec import RunSpec as RunSpec, pick as pick, settings_of as settings_of
