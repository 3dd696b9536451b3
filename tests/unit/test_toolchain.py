"""The set-up's promises: what we ask for is locked, only what was locked is used, and a broken-off set-up is mended."""

import hashlib
import io
import tarfile
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from jgo.parse import Coordinate
from rich.console import Console

from infra.embedded import toolchain
from infra.embedded.jars import WISHES, Jar, JarAltered, SetUpStopped, check, locked
from infra.embedded.maven import bring
from infra.embedded.progress import Bars

CONTENT = b"what the lock means"


def jar(content: bytes = CONTENT, **changed: object) -> Jar:
    plain = Jar("cn.tongshu", "sample", "1.0", "", "jar", len(content), hashlib.sha256(content).hexdigest(), ("kafka",))
    return replace(plain, **changed)  # type: ignore[arg-type]


def wished() -> Iterator[tuple[str, Coordinate]]:
    for name, wish in tomllib.loads(WISHES.read_text()).items():
        for text in wish["wishes"]:
            yield name, Coordinate.parse(text)


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An account's own Maven folder, empty."""
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    return tmp_path / "m2"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The sample's place in a Maven mirror on loopback, which jgo's configuration names as a person would."""
    place = tmp_path / "mirror/cn/tongshu/sample/1.0/sample-1.0.jar"
    place.parent.mkdir(parents=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path / "mirror")) as web:
        settings = tmp_path / "jgo.conf"
        settings.write_text(f"[repositories]\nmirror = http://127.0.0.1:{web.server_port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield place
        web.shutdown()


def archive(folder: Path) -> tuple[Path, Jar]:
    packed = folder / "registry.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        for name in ("quarkus-run.jar", "lib/one.jar"):
            entry = tarfile.TarInfo(name)
            entry.size = len(CONTENT)
            tar.addfile(entry, io.BytesIO(CONTENT))
    return packed, jar(packed.read_bytes(), packaging="tar.gz", sets=("registry",))


@pytest.mark.parametrize(("name", "wish"), list(wished()), ids=str)
def test_every_wish_is_locked_in_its_set(name: str, wish: Coordinate) -> None:
    held = [one for one in locked() if name in one.sets]
    assert (wish.groupId, wish.artifactId, wish.version) in [(one.group, one.artifact, one.version) for one in held]


def test_every_locked_file_has_a_digest_a_size_and_known_sets() -> None:
    sets = tomllib.loads(WISHES.read_text()).keys()
    for one in locked():
        assert len(bytes.fromhex(one.sha256)) == 32, one
        assert one.size > 0, one
        assert one.sets and set(one.sets) <= sets, one


@pytest.mark.parametrize(("name", "version"), [("kafka", "4.2.2"), ("connect", "4.3.1")])
def test_a_class_path_holds_each_package_once_and_one_kafka(name: str, version: str) -> None:
    held = [one for one in locked() if name in one.sets]
    assert len({(one.group, one.artifact) for one in held}) == len(held)
    assert {one.version for one in held if one.group == "org.apache.kafka"} == {version}


def test_a_changed_file_is_refused_named_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "sample-1.0.jar"
    path.write_bytes(CONTENT)
    check(path, jar())
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(JarAltered) as refused:
        check(path, jar())
    assert not path.exists()
    for told in ("cn.tongshu:sample:1.0", jar().sha256, hashlib.sha256(CONTENT[::-1]).hexdigest()):
        assert told in str(refused.value)


def test_a_true_copy_of_the_account_serves_every_set_without_network(account: Path, tmp_path: Path) -> None:
    kept = account / "cn/tongshu/sample/1.0/sample-1.0.jar"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    targets = [tmp_path / "one.jar", tmp_path / "two.jar"]
    arrived: list[int] = []
    bring(jar(), targets, advance=arrived.append, stop=threading.Event())
    assert [path.read_bytes() for path in targets] == [CONTENT, CONTENT]
    assert sum(arrived) == len(CONTENT)
    assert {path.name for path in tmp_path.iterdir()} == {"m2", "one.jar", "two.jar"}


@pytest.mark.parametrize(
    ("served", "stopped", "refusal"), [(CONTENT[::-1], False, JarAltered), (CONTENT, True, SetUpStopped)]
)
def test_a_download_that_is_altered_or_stopped_leaves_nothing(
    account: Path, mirror: Path, tmp_path: Path, served: bytes, stopped: bool, refusal: type[Exception]
) -> None:
    mirror.write_bytes(served)
    stop = threading.Event()
    if stopped:
        stop.set()
    with pytest.raises(refusal):
        bring(jar(), [tmp_path / "set" / "one.jar"], advance=lambda _size: None, stop=stop)
    assert list((tmp_path / "set").iterdir()) == []
    assert not account.exists()


def test_a_download_is_kept_for_the_account_s_next_checkout(account: Path, mirror: Path, tmp_path: Path) -> None:
    mirror.write_bytes(CONTENT)
    bring(jar(), [tmp_path / "set" / "one.jar"], advance=lambda _size: None, stop=threading.Event())
    assert [path.read_bytes() for path in (tmp_path / "set").iterdir()] == [CONTENT]
    assert (account / "cn/tongshu/sample/1.0/sample-1.0.jar").read_bytes() == CONTENT


def test_an_unpacking_that_broke_off_is_done_again(tmp_path: Path) -> None:
    packed, locked_archive = archive(tmp_path)
    home = toolchain.registry_home(tmp_path, locked_archive)
    home.mkdir()
    (home / "quarkus-run.jar").write_bytes(b"half")
    assert not toolchain.is_unpacked(tmp_path, locked_archive)
    toolchain.unpack(packed, locked_archive, home)
    assert toolchain.is_unpacked(tmp_path, locked_archive)
    assert (home / "quarkus-run.jar").read_bytes() == (home / "lib/one.jar").read_bytes() == CONTENT


def test_an_altered_archive_is_not_unpacked(tmp_path: Path) -> None:
    packed, locked_archive = archive(tmp_path)
    packed.write_bytes(packed.read_bytes() + b"more")
    with pytest.raises(JarAltered):
        toolchain.unpack(packed, locked_archive, tmp_path / "registry")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_set_up_are_swept_and_good_jars_stay(tmp_path: Path) -> None:
    good, stale = tmp_path / "jars/kafka/sample-1.0.jar", tmp_path / "jars/kafka/sample-0.9.jar"
    half = tmp_path / "jars/kafka/.bringing-1/sample-1.0.jar"
    for path in (good, stale, half):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    toolchain.sweep(tmp_path, [jar()])
    assert [path.name for path in good.parent.iterdir()] == [good.name]
    assert toolchain.is_here(tmp_path, jar())
    good.write_bytes(CONTENT[::-1])
    assert not toolchain.is_here(tmp_path, jar())


def test_an_empty_tools_folder_is_missing_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGSHU_TOOLS", str(tmp_path))
    with pytest.raises(toolchain.ToolchainMissing, match=r"kafka_2\.13-4\.2\.2\.jar.*more missing"):
        toolchain.locate()


def test_without_a_terminal_each_title_is_told_once_at_its_end() -> None:
    report = Console(file=io.StringIO(), force_terminal=False)
    with Bars(report, [("Kafka broker", 3), ("Kafka broker", 4)]) as bars:
        for size in (3, 2, -2, 4):  # the second download failed once
            bars.of("Kafka broker")(size)
    assert report.file.getvalue().splitlines() == ["Kafka broker: bringing 0.0 MB", "Kafka broker: here"]  # type: ignore[attr-defined]


def test_connects_plugins_come_without_the_rest(
    account: Path, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.write_bytes(CONTENT)
    shared, other = jar(sets=("connect", "plugins/apicurio-avro")), jar(artifact="other", sets=("connect", "kafka"))
    monkeypatch.setattr(toolchain, "locked", lambda: [shared, other])
    for _ in range(2):
        toolchain.bring_plugins(tmp_path / "plugins", Console(file=io.StringIO()))
        found = {str(path.relative_to(tmp_path / "plugins")) for path in (tmp_path / "plugins").rglob("*.jar")}
        assert found == {"apicurio-avro/sample-1.0.jar", "apicurio-avro/declared.jar"}
    assert not list(tmp_path.glob(".bringing-*"))


def test_a_plugin_that_was_altered_is_not_put_in_place(account: Path, mirror: Path, tmp_path: Path) -> None:
    mirror.write_bytes(b"something else....."[: len(CONTENT)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolchain, "locked", lambda: [jar(sets=("plugins/apicurio-avro",))])
        with pytest.raises(JarAltered):
            toolchain.bring_plugins(tmp_path / "plugins", Console(file=io.StringIO()))
    assert not (tmp_path / "plugins").exists()
