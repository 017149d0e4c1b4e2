"""What is set or asked wrongly is told in one line, by every command."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from fleetbeat.cli.main import app


@pytest.mark.parametrize(
    "command",
    [["doctor"], ["up"], ["status"], ["sync", "--all"], ["pause", "fleet", "--reason", "x"], ["resume", "fleet"], ["approve"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_misuse_and_no_traceback(command: list[str]) -> None:
    done = CliRunner().invoke(app, command, env={"FLEETBEAT_WORKERS": "many"})
    assert done.exit_code == 2
    assert "FLEETBEAT_WORKERS" in done.output
    assert "Traceback" not in done.output


def test_a_place_in_a_file_is_not_taken_for_an_emoji(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "a.yaml").write_text("\n" * 99 + "a: [\n")
    done = CliRunner().invoke(app, ["validate", str(folder)])
    assert "a.yaml:10" in done.output
