"""Commands given nonsense answer in one clear sentence, with a status that is not 0, and change nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tongshu


@pytest.fixture
def tongshu(tmp_path: Path) -> Tongshu:
    return Tongshu(tmp_path / "home")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["upp"], 2, "upp"),
        (["up", "--no-such-thing"], 2, "--no-such-thing"),
        (["demo", "--rate", "0"], 2, "--rate"),
        (["demo", "--minutes", "soon"], 2, "--minutes"),
        (["bench", "nothing"], 2, "nothing"),
        (["up", "--port", "kafka"], 1, "PART=NUMBER"),
        (["up", "--port", "kafka=99999"], 1, "99999"),
        (["up", "--port", "kefka=9092"], 1, "kefka"),
        (["down"], 1, "no exchange"),
        (["status"], 1, "no exchange"),
        (["logs"], 1, "no exchange"),
        (["lag"], 1, "no exchange"),
        (["lag", "--for-ever"], 2, "--for-ever"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_nonsense_is_said_back(tongshu: Tongshu, words: list[str], status: int, told: str) -> None:
    answer = tongshu(*words)
    assert answer.status == status
    assert told in answer.words
    assert "Traceback" not in answer.words
    assert not tongshu.home.exists()


def test_the_words_of_every_command_are_there(tongshu: Tongshu) -> None:
    told = tongshu.must("--help")
    for command in ("up", "down", "status", "logs", "lag", "doctor", "demo", "test", "bench"):
        assert command in told
        assert tongshu.must(command, "--help")


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = Tongshu(tmp_path / "file" / "home")("up")
    assert answer.status == 1
    assert str(tmp_path / "file") in answer.words
    assert "Traceback" not in answer.words


def test_a_damaged_state_folder_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    for text, told in (("{", "damaged"), ('{"format": 99}', "format 99"), ("[]", "damaged"), (None, "missing")):
        record = home / "exchange.json"
        if text is None:
            record.unlink()
        else:
            record.write_text(text)
        for command in ("up", "status", "down"):
            answer = Tongshu(home)(command)
            assert answer.status == 1, command
            assert told in answer.words and str(record) in answer.words
            assert "Traceback" not in answer.words
        assert text is None or record.read_text() == text
    assert sorted(path.name for path in home.iterdir()) == ["data"]


def unshared(*words: str) -> tuple[str, ...]:
    """A prefix that runs a command in namespaces of its own; skips where the machine does not allow them."""
    prefix = ("unshare", "--user", "--map-root-user", *words)
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine gives no namespaces of one's own")
    return prefix


def test_a_full_disk_is_told_before_anything_starts(tongshu: Tongshu) -> None:
    tongshu.home.mkdir()
    mount = f'mount -t tmpfs -o size=64m none "{tongshu.home}" && exec "$0" "$@"'
    answer = tongshu("up", within=(*unshared("--mount"), "sh", "-c", mount))
    assert answer.status == 1
    assert "MiB are free" in answer.words and "make room" in answer.words
    assert "Traceback" not in answer.words


def test_without_a_network_the_set_up_says_what_it_could_not_bring(tmp_path: Path) -> None:
    nothing = {"TONGSHU_TOOLS": str(tmp_path / "tools"), "M2_REPO": str(tmp_path / "m2"), "HOME": str(tmp_path)}
    answer = Tongshu(tmp_path / "home", nothing)("up", within=unshared("--net"))
    assert answer.status == 1
    assert "could not be downloaded" in answer.words and "network" in answer.words
    assert "Traceback" not in answer.words
    assert not (tmp_path / "home").exists()


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("tongshu", "uv.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout / name)
    done = subprocess.run(
        [*unshared("--net"), str(checkout / "tongshu"), "up"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("tongshu: ") and ("network" in last or "Python 3.11" in last), done.stderr


def test_the_log_of_no_exchange_cannot_be_verified_and_that_is_said(tmp_path: Path) -> None:
    for words in (
        ("verify",),
        ("replay",),
        ("trace", "--resource", "r", "--key", "k"),
        ("export", str(tmp_path / "x")),
    ):
        answer = Tongshu(tmp_path / "home")("audit", *words)
        assert answer.status == 1 and "There is no exchange" in answer.words and "Traceback" not in answer.words
    answer = Tongshu(tmp_path / "home")("audit", "verify", "--offline", str(tmp_path / "nothing"))
    assert answer.status == 2 and "cannot be verified" in answer.words
