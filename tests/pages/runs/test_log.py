"""The log on the Runs page: a tab for each process, the remarks of libraries on demand, search and download."""

from streamlit.testing.v1 import AppTest

from tests.pages.reading import Says, Visit, labelled
from tests.workspace import Workspace

NOISE = "2026-01-05 10:00:00,001 [rank 0] INFO (root) [TBE=1] Feature Gates: []"
OURS = ["2026-01-05 10:00:00,002 [driver] INFO verdict: FINISHED", "2026-01-05 10:00:00,003 [rank 0] INFO epoch 2: valid_auc 0.7"]


def shown(at: AppTest) -> list[str]:
    return [line for block in at.code for line in block.value.splitlines() if line.startswith("2026-01-05")]


def test_a_log_is_ours_by_process_and_searched(own: Workspace, visit: Visit, says: Says) -> None:
    run_id = own.runs["dlrm"]
    (own.path("dlrm") / "run.log").write_text("\n".join([OURS[0], NOISE, OURS[1]]) + "\n")
    at = visit("runs", run=run_id)
    assert shown(at) == OURS
    assert "1 lines of libraries are not shown" in says(at)
    tabs = at.get("segmented_control") or at.get("button_group")
    labelled(at.toggle, "Lines of libraries").set_value(True).run()
    assert shown(at) == [OURS[0], NOISE, OURS[1]]
    at.text_input(f"log.search.{run_id}").set_value("VALID_auc").run()
    assert shown(at) == [OURS[1]]
    assert "1 of 3 lines" in says(at)
    at.text_input(f"log.search.{run_id}").set_value("").run()
    at.session_state[f"log.who.{run_id}"] = "driver"
    at.run()
    assert shown(at) == [OURS[0]]
    assert [one.label for one in at.get("download_button")].count("Download") == 1
    assert tabs


def test_a_rank_that_wrote_nothing_says_so(own: Workspace, visit: Visit, says: Says) -> None:
    run_id = own.runs["dlrm"]
    own.respecify("dlrm", train=own.run("dlrm").settings["train"] | {"processes": 2})
    at = visit("runs", run=run_id)
    at.session_state[f"log.who.{run_id}"] = "rank 1"
    at.run()
    assert "Rank 0 speaks for all ranks" in says(at)
