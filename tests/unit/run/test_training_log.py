from __future__ import annotations

from kit.run.training_log import Step, parse_step, read_training, scores_of

LOG = (
    '{"current_steps": 10, "total_steps": 30, "loss": 4.25, "lr": 0.1}',
    '{"current_steps": 20, "total_steps": 30, "loss": "0.5"}',
    '{"current_steps": 20, "total_steps": 30, "eval_loss": 9.0}',
    '{"current_steps": 30, "total_steps": 30}',
    '{"current_st',
)


def test_first_and_last_loss_are_those_of_training_steps() -> None:
    found = read_training(LOG, '{"train_loss": 1.5, "epoch": 2, "note": "x", "flag": true}')
    assert (found.first_loss, found.last_loss, found.steps) == (4.25, 0.5, 30)
    assert found.metrics == (("train_loss", 1.5), ("epoch", 2.0))


def test_a_training_that_logged_nothing_has_no_losses() -> None:
    found = read_training((), "")
    assert (found.first_loss, found.last_loss, found.steps, found.metrics) == (None, None, None, ())


def test_a_step_is_told_with_its_part_of_the_whole() -> None:
    step = parse_step(LOG[0])
    assert step == Step(10, 30, 4.25)
    assert step.text == "step 10 of 30, loss 4.25"
    assert step.fraction is not None
    assert abs(step.fraction - 1 / 3) < 1e-9


def test_half_a_line_is_no_step() -> None:
    for line in ("", "{", "null", "[]", '{"loss": 1}'):
        assert parse_step(line) is None


def test_what_predict_measured_is_a_table_of_one_line() -> None:
    results = '{"predict_bleu-4": 8.7912, "predict_rouge-l": 16.1, "predict_runtime": 0.6, "train_loss": 2.4}'
    assert scores_of(read_training([], results)) == (("bleu-4", "rouge-l"), ("8.79", "16.10"))
    assert scores_of(read_training([], "{}")) == ()
    assert scores_of(None) == ()
