"""When a run ends, every page says so: a toast, and the title of the tab."""

from tests.pages.reading import Visit
from tests.workspace import Workspace, end


def test_a_run_that_ends_is_a_toast_on_another_page(own: Workspace, visit: Visit) -> None:
    at = visit("help")
    assert not at.toast
    end(own.runs["running"], own.path("running"), "FINISHED")
    at.session_state["notices.checked"] = 0.0
    at.run()
    assert not at.exception
    assert [toast.value.replace("\\", "") for toast in at.toast] == ["Popular, running: finished"]
    at.session_state["notices.checked"] = 0.0
    at.run()
    assert not at.toast
