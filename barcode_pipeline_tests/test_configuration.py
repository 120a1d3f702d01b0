"""The configuration file: what it shows is the default, and an error names the key and the reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from barcode_pipeline.configuration import CONFIGURATION_FILE, Configuration, load_configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS

SHOWN = Path(__file__).parents[1] / CONFIGURATION_FILE


def written(tmp_path, text):
    (tmp_path / CONFIGURATION_FILE).write_text(text, encoding="utf-8")
    return load_configuration(tmp_path)


def keys_of(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_the_file_shows_every_key_with_its_default():
    assert load_configuration(SHOWN.parent) == Configuration()
    shown = sorted(keys_of(tomllib.loads(SHOWN.read_text(encoding="utf-8"))))
    assert shown == sorted(keys_of(Configuration().model_dump()))


def test_without_a_file_all_is_default(tmp_path):
    assert load_configuration(tmp_path) == Configuration()
    assert written(tmp_path, "") == Configuration()


def test_a_key_alone_changes_that_key_alone(tmp_path):
    found = written(tmp_path, "[training]\nepochs = 3\n")
    assert found.training.epochs == 3
    assert found.model_copy(update={"training": Configuration().training}) == Configuration()


def test_an_integer_serves_where_a_number_is_wanted(tmp_path):
    assert written(tmp_path, "[rules]\nfastest_truck_km_per_hour = 90\n").rules.fastest_truck_km_per_hour == 90.0


WRONG = [
    # unknown
    ("[training]\nepoch = 3", "training.epoch", "there is no such key"),
    ("[trainings]\nepochs = 3", "trainings", "there is no such key"),
    ("[rules.thresholds]\nfake = 1", "rules.thresholds.fake", "there is no such key"),
    # of a wrong type
    ('[training]\nepochs = "many"', "training.epochs", "valid integer"),
    ('[training]\nepochs = "16"', "training.epochs", "valid integer"),
    ("[training]\nepochs = true", "training.epochs", "valid integer"),
    ("[training]\nepochs = 1.5", "training.epochs", "valid integer"),
    ('[split]\ntrain_share = "most"', "split.train_share", "valid number"),
    ("training = 3", "training", "valid dictionary"),
    ("[time]\nzone = 9", "time.zone", "valid string"),
    ("[rules]\nregistered_companies = [8804823]", "rules.registered_companies.0", "valid string"),
    ('[rules]\nregistered_companies = "8804823"', "rules.registered_companies", "valid tuple"),
    # out of range
    ("[split]\ntrain_share = 1.0", "split.train_share", "less than 1"),
    ("[split]\nheld_out_lots = 1", "split.held_out_lots", "greater than or equal to 2"),
    ("[sequences]\nlength = 0", "sequences.length", "greater than or equal to 1"),
    ("[model]\nlayers = 3", "model.layers", "1 or 2"),
    ("[model]\ndropout = 1.0", "model.dropout", "less than 1"),
    ("[training]\nlearning_rate = 0.0", "training.learning_rate", "greater than 0"),
    ("[training]\nlearning_rate = inf", "training.learning_rate", "finite"),
    ("[training]\nlearning_rate = nan", "training.learning_rate", "finite"),
    ("[training]\nseed = -1", "training.seed", "greater than or equal to 0"),
    ('[training]\nteachers = ["nobody"]', "training.teachers.0", "rule_labels"),
    ('[training]\ndevice = "tpu"', "training.device", "'auto', 'cpu' or 'cuda'"),
    ("[rules.thresholds]\njump = 0", "rules.thresholds.jump", "greater than 0"),
    ("[rules.thresholds]\njump = 101", "rules.thresholds.jump", "less than or equal to 100"),
    ("[rules]\nfastest_truck_km_per_hour = 0", "rules.fastest_truck_km_per_hour", "greater than 0"),
    ("[evaluation]\nbootstrap_replicates = 1", "evaluation.bootstrap_replicates", "greater than or equal to 20"),
    # zones, dates, companies
    ('[time]\nzone = "Asia/Soul"', "time.zone", "no time zone is called 'Asia/Soul'; use a name such as Asia/Seoul"),
    ('[time]\nzone = ""', "time.zone", "no time zone is called ''"),
    ('[time]\nzone = "../etc/passwd"', "time.zone", "no time zone is called"),
    ('[time]\nzone = "Asia"', "time.zone", "no time zone is called 'Asia'"),
    ('[time]\nfirst_date = "2025-02-30"', "time.first_date", "valid date"),
    ('[rules]\nregistered_companies = ["880482"]', "rules.registered_companies", "seven digits, not '880482'"),
    ('[rules]\nregistered_companies = ["88048a3"]', "rules.registered_companies", "seven digits, not '88048a3'"),
    ('[rules]\nregistered_companies = ["８８０４８２３"]', "rules.registered_companies", "seven digits, not"),
]


@pytest.mark.parametrize(("text", "key", "reason"), WRONG, ids=[f"{key}-{i}" for i, (_, key, _) in enumerate(WRONG)])
def test_an_error_names_the_key_and_the_reason(tmp_path, text, key, reason):
    with pytest.raises(UserError) as raised:
        written(tmp_path, text)
    said = str(raised.value)
    assert re.search(rf"configuration\.toml: {re.escape(key)}: .*{re.escape(reason)}", said), said
    assert said.endswith("Correct it and start again.")
    assert "\n" not in said


def test_all_errors_are_named_at_once(tmp_path):
    with pytest.raises(UserError, match=r"model\.depth: .*; training\.epochs: ") as raised:
        written(tmp_path, "[model]\ndepth = 2\n[training]\nepochs = 0\n")
    assert str(raised.value).count("Correct it") == 1


@pytest.mark.parametrize("text", [b"[training", b"epochs = ", b"a = 1\na = 2\n", b"\xff\xfe[training]"])
def test_broken_toml_is_a_sentence(tmp_path, text):
    (tmp_path / CONFIGURATION_FILE).write_bytes(text)
    with pytest.raises(UserError, match=r"configuration\.toml is no valid TOML: .*Correct it"):
        load_configuration(tmp_path)


def test_dates_may_be_words_or_toml_dates(tmp_path):
    quoted = written(tmp_path, '[time]\nfirst_date = "2025-07-02"\n')
    plain = written(tmp_path, "[time]\nfirst_date = 2025-07-02\n")
    assert quoted == plain


def test_fingerprints_are_equal_where_values_are():
    shown = load_configuration(SHOWN.parent)
    for name in Configuration.model_fields:
        assert getattr(shown, name).fingerprint() == getattr(Configuration(), name).fingerprint(), name


def test_fingerprints_tell_values_apart(tmp_path):
    changed = written(tmp_path, "[rules.thresholds]\njump = 70\n")
    assert changed.rules.fingerprint() != Configuration().rules.fingerprint()
    assert changed.model.fingerprint() == Configuration().model.fingerprint()


def test_rules_are_given_their_settings_in_the_order_of_labels(tmp_path):
    text = "[rules.thresholds]\n" + "".join(f"{label} = {10 + place}\n" for place, label in enumerate(LABELS))
    settings = written(tmp_path, text).rules.settings()
    assert settings.thresholds == (10.0, 11.0, 12.0, 13.0, 14.0)
    assert settings.companies == Configuration().rules.registered_companies
    assert settings.v_max == 100.0


def test_the_fewer_events_the_more_often_they_are_planted_upon():
    planting = Configuration().planting
    copies = {events: planting.settings(events).copies for events in (0, 20_000, 98_700, 150_000, 197_000, 920_000)}
    assert copies == {0: 8, 20_000: 8, 98_700: 4, 150_000: 3, 197_000: 2, 920_000: 2}
    assert planting.search_settings().copies == 1
    assert planting.model_copy(update={"events": 0}).settings(100_000).copies == 2
