# fmt: off
# isort: skip_file
from . import identity as identity, processes as processes, store as store
from .adopting import Adoption as Adoption, adopt as adopt, adoption_hint as adoption_hint
from .annotations import (LONGEST_NAME as LONGEST_NAME, LONGEST_NOTE as LONGEST_NOTE, LONGEST_TAG as LONGEST_TAG, MOST_TAGS as MOST_TAGS,
    annotate as annotate, dependents as dependents, list_trash as list_trash, pin as pin, pinned as pinned, rename as rename,
    restore as restore, tag as tag, trash as trash, unpin as unpin, why_kept as why_kept)
from .cancelling import KEEP_S as KEEP_S, cancel as cancel, cancel_request as cancel_request, why_not_stopped as why_not_stopped
from .continuing import as_chosen as as_chosen, continued as continued
from .exports import (ListExport as ListExport, export_lists as export_lists, get_list_export as get_list_export,
    list_exports as list_exports, read_ids as read_ids)
from .fetching import UnreachableError as UnreachableError, whole_folder as whole_folder
from .funnels import funnel as funnel, funnel_losses as funnel_losses
from .known import read_once as read_once
from .launch import (AFTER as AFTER, CONCLUDES as CONCLUDES, PROCESSES as PROCESSES, TICKET as TICKET,
    SubmittedSpec as SubmittedSpec, submit as submit, submit_tour as submit_tour)
from .logs import PRINTED as PRINTED, LogLine as LogLine, log_lines as log_lines, log_tail as log_tail, log_text as log_text
from .opened import is_open as is_open
from .owners import Owner as Owner, OwnerError as OwnerError, why_not_yours as why_not_yours
from .outbox import Outbox as Outbox, deliver as deliver
from .predicted_rows import sample_predictions as sample_predictions, why_no_predictions as why_no_predictions
from .read import (
    VERDICT as VERDICT, Progress as Progress, Run as Run, RunState as RunState, get_run as get_run, how_it_ended as how_it_ended,
    list_runs as list_runs, progress as progress)
from .results import (
    Gain as Gain, alarms as alarms, damage_of as damage_of, done as done, gains as gains, history as history, outputs as outputs,
    per_user as per_user, result_file as result_file, why_incomplete as why_incomplete)
from .resuming import (
    has_checkpoint as has_checkpoint, hold_dataset as hold_dataset, resume as resume, why_not_resumable as why_not_resumable)
from .settle import settle as settle, settle_all as settle_all
from .store_errors import StoreError as StoreError
from .waiting import wait as wait
