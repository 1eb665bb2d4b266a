"""The folder of converted networks: whole, bounded, and nothing of others is deleted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dream.engine.backends.converted_networks import BIN, INFO, XML, ConvertedNetworks


def write(size: int = 100) -> Callable[[Path], None]:
    def files(xml: Path) -> None:
        xml.write_text("<net/>")
        xml.with_suffix(".bin").write_bytes(bytes(range(100)) * (size // 100))

    return files


@pytest.fixture
def networks(tmp_path: Path) -> ConvertedNetworks:
    return ConvertedNetworks(tmp_path / "openvino", max_bytes=3000)


def test_what_was_added_is_found_again(networks: ConvertedNetworks) -> None:
    assert networks.find("a") is None
    added = networks.add("a", write(), {"part": "unet"})
    assert added.xml.read_text() == "<net/>"
    found = networks.find("a")
    assert found is not None and found.info["part"] == "unet" and not found.failure
    assert [*networks.folder.iterdir()] == [added.folder], "nothing half-written is left"


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / BIN).write_bytes(b""),
        lambda folder: (folder / BIN).write_bytes(bytes(100)),
        lambda folder: (folder / XML).write_text("<nit/>"),
        lambda folder: (folder / BIN).unlink(),
        lambda folder: (folder / INFO).write_text("{"),
        lambda folder: (folder / INFO).write_text('{"format": 0}'),
        lambda folder: (folder / INFO).unlink(),
    ],
)
def test_a_damaged_network_is_not_found_and_can_be_added_again(
    networks: ConvertedNetworks, damage: Callable[[Path], object]
) -> None:
    damage(networks.add("a", write(), {}).folder)
    assert networks.find("a") is None
    networks.add("a", write(), {})
    assert networks.find("a") is not None


def test_the_networks_used_least_recently_make_room(networks: ConvertedNetworks) -> None:
    for age, key in enumerate("abc"):
        folder = networks.add(key, write(700), {}).folder
        os.utime(folder / INFO, (age, age))
    assert networks.find("a") is not None  # and is now the one used last
    networks.add("d", write(700), {})
    assert [key for key in "abcd" if networks.find(key)] == ["a", "c", "d"]


def test_files_of_others_stay(networks: ConvertedNetworks) -> None:
    networks.folder.mkdir()
    mine = networks.folder / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("words")
    folder = networks.add("a", write(1000), {}).folder
    (folder / "notes.txt").write_text("words")
    networks.add("b", write(2500), {})
    assert networks.find("a") is None, "it made room"
    assert (mine / "thesis.txt").exists() and (folder / "notes.txt").exists()


def test_a_failure_is_remembered(networks: ConvertedNetworks) -> None:
    networks.add_failure("a", "no such operation")
    found = networks.find("a")
    assert found is not None and found.failure == "no such operation"


def test_the_comparison_with_torch_is_remembered(networks: ConvertedNetworks) -> None:
    network = networks.add("a", write(), {})
    assert network.checked(((1, 4),)) is None
    assert networks.set_checked(network, ((1, 4),), True).checked(((1, 4),))
    found = networks.find("a")
    assert found is not None and found.checked(((1, 4),)) and found.checked(((2, 4),)) is None


def test_what_a_dead_process_left_half_written_is_removed(networks: ConvertedNetworks) -> None:
    def fail(xml: Path) -> None:
        write()(xml)
        raise RuntimeError("full disk")

    with pytest.raises(RuntimeError):
        networks.add("a", fail, {})
    assert [*networks.folder.iterdir()] == []
    left = networks.folder / f".partial-{2**22 + 1}-x"  # no system has that many processes
    left.mkdir()
    write()(left / XML)
    networks.add("a", write(), {})
    assert not left.exists()
    left = networks.folder / f".partial-{2**22 + 1}-b-x"
    left.mkdir()
    with pytest.raises(OSError, match="ended the process before"):
        networks.add("b", write(), {})
    networks.add("b", write(), {})


def test_shapes_that_ended_a_process_are_known(networks: ConvertedNetworks) -> None:
    network = networks.add("a", write(), {})
    networks.set_trying(network, ((1, 4),))
    found = networks.find("a")
    assert found is not None and found.crashed(((1, 4),)) and not found.crashed(((2, 4),))
    networks.set_trying(network, None)  # by the process that tried
    ended = networks.find("a")
    assert ended is not None and not ended.crashed(((1, 4),))
    networks.set_trying(found, "variable")  # by the next process
    assert networks.set_checked(found, ((1, 4),), True).crashed(((1, 4),))
    found = networks.find("a")
    assert found is not None and found.crashed(((1, 4),)) and not found.crashed("variable")
