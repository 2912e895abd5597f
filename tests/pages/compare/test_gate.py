"""The gate on real runs, as a pipeline meets it: what it prints, writes and exits with."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from scipy import stats

import engine
from engine.cli import main
from engine.compare import Outcome
from tests.commands import asked
from tests.workspace import Workspace


def test_the_command_exits_with_what_it_says_and_leaves_its_record(
    own: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = own.runs["ease10"], own.runs["item_knn"]
    same = asked("gate", good, "--against", good)
    assert same["outcome"] == "not worse" and same["exit_code"] == 0
    record, junit = tmp_path / "gate.json", tmp_path / "gate.xml"
    words = ("gate", bad, "--against", good, "--tolerance", "0%", "--record", str(record), "--junit", str(junit))
    users = [engine.runs.per_user(one).set_index("user_id")["ndcg_at_10"] for one in (bad, good)]
    pair = pd.concat(users, axis=1, join="inner").to_numpy()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["difference"] == pytest.approx((pair[:, 0] - pair[:, 1]).mean())
    less = stats.ttest_rel(pair[:, 0], pair[:, 1], alternative="less").pvalue
    greater = stats.ttest_rel(pair[:, 0], pair[:, 1], alternative="greater").pvalue
    wanted = Outcome.NOT_WORSE if greater < 0.05 else Outcome.WORSE if less < 0.05 else Outcome.UNKNOWN
    assert wanted is not Outcome.NOT_WORSE, "else main returns"
    assert (told["outcome"], ended.value.code) == (wanted.value, wanted.exit_code)
    assert json.loads(record.read_text()) == {key: value for key, value in told.items() if key != "exit_code"}
    suite = ElementTree.parse(junit).getroot()
    assert (suite.attrib["failures"], suite.attrib["errors"]) == (str(int(wanted is Outcome.WORSE)), str(int(wanted is Outcome.UNKNOWN)))
    with pytest.raises(SystemExit) as ended:
        main(["gate", good, "--against", bad, "--metric", "nonsense"])
    assert ended.value.code == 3
    assert "cannot be tested for these runs; choose one of" in capsys.readouterr().err
