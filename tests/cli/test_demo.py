"""The tour tells what it sees, and stops where something is not so. (`make demo CHECK=1` takes the whole of it.)"""

import pytest

from authstore.cli.demo.story import Story


def test_a_step_that_came_true_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story()
    story.chapter("The sky")
    story.step("look up")
    story.expect(True, "it is blue")
    assert capsys.readouterr().out == "\nThe sky\n───────\n  1. look up\n       → it is blue\n"


def test_a_step_that_did_not_ends_the_tour_with_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Story().expect(False, "it is green")
    assert ended.value.code == 1
    assert "it is green" in capsys.readouterr().err
