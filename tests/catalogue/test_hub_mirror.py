"""--hub_mirror: an address that is tried before the hub's, and never gets a token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from dream.catalogue.download import ignore_progress
from dream.catalogue.hub import HubId, download, download_file
from dream.catalogue.hub_addresses import check_mirror
from dream.cli.session_factory import create_session
from dream.config.settings_file import read_settings
from dream.core.cli_options import CliOptions
from dream.core.errors import BadSetting, ModelError
from dream.core.request import Request
from tests.catalogue.hub_stub import COMMIT, Hub, hub_at_home

FILES = {"model_index.json": b"{}", "unet/config.json": b"{}", "unet/x.safetensors": b"weights"}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with hub_at_home(Hub("a/b", FILES)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def names(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*") if not path.name.startswith("."))
    return {path.relative_to(folder).as_posix() for path in files if path.is_file()}


def test_a_mirror_serves_all_of_it_and_sees_no_token(tmp_path: Path, hub: Hub) -> None:
    said: list[str] = []
    with hub_at_home(Hub("a/b", FILES)) as mirror:
        download(HubId("a/b"), tmp_path, ignore_progress, said.append, mirror=mirror.url)
        target = tmp_path / "one" / "x.safetensors"
        download_file("a/b", "unet/x.safetensors", target, ignore_progress, mirror=mirror.url)
    assert hub.requests == [] and mirror.requests and mirror.tokens == []
    assert names(tmp_path) == {*FILES, "one/x.safetensors"}
    assert target.read_bytes() == b"weights" and len(said) == 1


def test_nothing_else_is_asked(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub asks for a list of agents by itself, unless its telemetry is off."""
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", False)
    if find_spec("huggingface_hub.utils._detect_agent"):
        monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None)
        path = str(tmp_path / "none.json")
        monkeypatch.setattr("huggingface_hub.constants.AGENT_HARNESSES_PATH", path)
    download(HubId("a/b"), tmp_path / "it", ignore_progress, print)
    commit = f"/a/b/resolve/{COMMIT}/"
    assert {*hub.requests} == {"/api/models/a/b", *(commit + name for name in FILES)}


def test_a_mirror_that_lists_less_than_a_model_is_not_enough(tmp_path: Path, hub: Hub) -> None:
    said: list[str] = []
    for number, left_out in enumerate(("model_index.json", "unet/x.safetensors")):
        some = {name: FILES[name] for name in FILES if name != left_out}
        with hub_at_home(Hub("a/b", some)) as mirror:
            folder = tmp_path / str(number)
            download(HubId("a/b"), folder, ignore_progress, said.append, mirror=mirror.url)
        assert names(folder) == set(FILES), left_out
        assert any(text.endswith(f"; trying {hub.url}") for text in said)
        said.clear()


@pytest.mark.parametrize("kind", ["unreachable", "without it", "gated"])
def test_the_hub_is_asked_where_the_mirror_fails(tmp_path: Path, hub: Hub, kind: str) -> None:
    said: list[str] = []
    hub.gated, hub.token = True, "hf_secret"
    with hub_at_home(Hub("x/y" if kind == "without it" else "a/b", FILES)) as mirror:
        mirror.gated = kind == "gated"
        address = NOWHERE if kind == "unreachable" else mirror.url
        download(HubId("a/b"), tmp_path, ignore_progress, said.append, mirror=address)
    assert names(tmp_path) == set(FILES)
    assert set(hub.tokens) == {"Bearer hf_secret"} and mirror.tokens == []
    assert any(text.endswith(f"; trying {hub.url}") for text in said)


def test_where_both_fail_the_hub_s_error_is_said(tmp_path: Path, hub: Hub) -> None:
    hub.gated, hub.token = True, "another"
    with pytest.raises(ModelError, match=f"accept it at {hub.url}/a/b"):
        download(HubId("a/b"), tmp_path, ignore_progress, print, mirror=NOWHERE)


def test_the_option_reaches_the_registry(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    launch = CliOptions(models_dir=str(tmp_path / "models"), hub_mirror="https://hf-mirror.com/")
    session = create_session(launch, Request())
    session.close()
    assert session.registry.hub_mirror == "https://hf-mirror.com"
    with pytest.raises(BadSetting):
        create_session(replace(launch, hub_mirror="http://hf-mirror.com"), Request())


@pytest.mark.parametrize("url", ["http://hf-mirror.com", "hf-mirror.com", "https://me:x@m.com", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="is not an https address"):
        check_mirror(url)
    assert check_mirror("https://hf-mirror.com/") == "https://hf-mirror.com"


def test_only_the_user_s_own_settings_name_a_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    for file in (Path("dream.toml"), Path("own/dream.toml")):
        file.write_text('hub_mirror = "https://hf-mirror.com"\n')
    assert read_settings([Path("own/dream.toml")])[0].hub_mirror == "https://hf-mirror.com"
    with pytest.raises(BadSetting, match="hub_mirror is a command-line option"):
        read_settings([Path("dream.toml")])
