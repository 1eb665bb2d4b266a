"""What docs/deploy.md promises: any user id, no home folder, and a container that says so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dream.catalogue.model_dirs import get_shipped_models_dir

ROOT = Path(__file__).resolve().parents[1]
CONTAINERS = ROOT / "containers"
CONTAINERFILE = (CONTAINERS / "Containerfile").read_text(encoding="utf-8")
UNIT = (CONTAINERS / "dream.service").read_text(encoding="utf-8")
USER_ID = 12345


def as_nobody(*command: str) -> list[str]:
    """A command as a user id that no account has, which owns what we own: as in a container."""
    return ["unshare", "--user", f"--map-user={USER_ID}", *command]


def has_namespaces() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run(as_nobody("true"), capture_output=True).returncode == 0


@pytest.mark.skipif(not has_namespaces(), reason="needs unshare and user namespaces")
def test_an_unknown_user_without_a_home_renders_into_the_one_folder_that_it_can_write(
    tmp_path: Path,
) -> None:
    outputs = tmp_path / "images"
    outputs.mkdir()
    tmp_path.chmod(0o555)
    probe = "import os, pathlib; print(os.getuid()); pathlib.Path('x').touch()"
    refused = subprocess.run(
        as_nobody(sys.executable, "-c", probe), cwd=tmp_path, capture_output=True, text=True
    )
    assert refused.stdout == f"{USER_ID}\n" and "PermissionError" in refused.stderr
    done = subprocess.run(
        as_nobody(
            *("env", "-i", f"PATH={os.environ['PATH']}", f"PYTHONPATH={ROOT}"),
            *(sys.executable, "-m", "dream", "a red circle", "-s1", "-S42", "-o", "images"),
            *("--models_dir", str(get_shipped_models_dir())),
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    tmp_path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in outputs.glob("*.png")] == ["000001.42.png"]
    assert "Traceback" not in done.stderr and "annot" not in done.stderr


def test_the_first_process_of_a_container_stops_while_it_starts() -> None:
    """The kernel drops a signal to process 1 that has no handler."""
    code = (
        "import os, signal, sys; pid = os.getpid(); os.getpid = lambda: 1\n"
        "import dream.__main__ as program\n"
        "class Import:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'dream.cli.app':\n"
        "            os.kill(pid, signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Import())\n"
        "program.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 128 + 15, (done.returncode, done.stderr)


def test_the_container_keeps_what_the_page_promises() -> None:
    last = CONTAINERFILE[CONTAINERFILE.rindex("\nFROM ") :]
    for line in (
        "USER 1000:1000",
        "WORKDIR /images",
        'VOLUME ["/models", "/images"]',
        "STOPSIGNAL SIGTERM",
        'ENTRYPOINT ["dream"]',
        "RUN mkdir -m 1777 /models /images",
    ):
        assert f"\n{line}\n" in last
    assert "HF_HUB_OFFLINE=1" in last and "/health" in last
    assert "chown" not in CONTAINERFILE and "nvidia/cuda" not in CONTAINERFILE
    assert last.count("\nRUN ") == 1, "nothing is installed in the last stage"


def test_what_the_build_copies_is_not_ignored() -> None:
    allowed = (ROOT / ".containerignore").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    names = [name for row in copied for name in row.split()]
    assert "dream" in names and "pyproject.toml" in names
    for name in names:
        assert (ROOT / name).exists() and f"!{name}\n" in allowed, name


def test_compose_serves_to_this_machine_only_and_needs_a_token() -> None:
    dream = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())["services"]["dream"]
    assert dream["ports"] == ["127.0.0.1:7860:7860"]
    assert dream["environment"]["DREAM_TOKEN"].startswith("${DREAM_TOKEN:?")
    assert dream["read_only"] and dream["tmpfs"] == ["/tmp"] and dream["cap_drop"] == ["ALL"]
    assert any(volume.endswith(":/models:ro") for volume in dream["volumes"])
    assert any(volume.endswith(":/images") for volume in dream["volumes"])
    gpu = yaml.safe_load((CONTAINERS / "compose.gpu.yaml").read_text())["services"]["dream"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]


def test_the_unit_starts_the_server_on_this_machine_and_is_hardened(tmp_path: Path) -> None:
    (start,) = re.findall(r"^ExecStart=(.+)$", UNIT, re.MULTILINE)
    program, option, address = start.split()
    assert option == "--web" and address.startswith("127.0.0.1:")
    for line in ("ProtectSystem=strict", "NoNewPrivileges=yes", "CapabilityBoundingSet="):
        assert f"\n{line}\n" in UNIT
    if shutil.which("systemd-analyze"):
        unit = tmp_path / "dream.service"
        unit.write_text(UNIT.replace(program, shutil.which("true") or "/bin/true"))
        done = subprocess.run(
            ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True
        )
        assert done.returncode == 0 and not done.stderr.strip(), done.stderr
