"""The alert rules fire when they should; Prometheus' own promtool says so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.embedded.toolchain import tools_folder

RULES = Path(__file__).resolve().parents[2] / "infra" / "prometheus"


@pytest.fixture(scope="session")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """promtool, if need be out of Debian's package `prometheus`, of which nothing is installed or started."""
    kept = tools_folder() / "promtool"
    if there := shutil.which("promtool") or (str(kept) if kept.exists() else None):
        return there
    folder = tmp_path_factory.mktemp("prometheus")
    steps = (["apt-get", "download", "prometheus"], ["sh", "-c", "dpkg-deb -x prometheus_*.deb ."])
    for command in steps:
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"promtool is not here and cannot be had: {error}")
        if done.returncode != 0:
            pytest.skip(f"promtool is not here and cannot be had: {(done.stderr or done.stdout).strip()[-200:]}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "usr" / "bin" / "promtool", kept)
    return str(kept)


CHECKS = (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"])


@pytest.mark.parametrize("words", CHECKS, ids=" ".join)
def test_promtool_accepts_the_configuration_and_its_rules(promtool: str, words: list[str]) -> None:
    done = subprocess.run([promtool, *words], cwd=RULES, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_is_changed_is_found(promtool: str, tmp_path: Path) -> None:
    shutil.copy(RULES / "alerts_test.yml", tmp_path)
    changed = (
        (RULES / "alerts.yml")
        .read_text()
        .replace("tongshu_consumergroup_status >= 2", "tongshu_consumergroup_status >= 4")
    )
    (tmp_path / "alerts.yml").write_text(changed)
    done = subprocess.run(
        [promtool, "test", "rules", "alerts_test.yml"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode != 0


def test_every_alert_is_seen_to_fire_and_says_why_in_both_languages() -> None:
    groups = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
    tests = yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert {rule["alert"] for rule in rules} == fired
    for rule in rules:
        assert rule["annotations"].keys() == {"summary", "summary_zh"}, rule["alert"]
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
