"""The folder of converted networks: whole, bounded, and nothing of others is deleted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dream.engine.backends.converted_networks import ConvertedNetwork, ConvertedNetworks
from dream.engine.backends.network_files import BIN, INFO, XML


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
    networks.add("a", write(), {})  # whoever comes by
    found = networks.find("b")
    assert found is not None and found.failure.startswith("the process ended while OpenVINO")
    assert not left.exists()


WRITES = """
import sys
from pathlib import Path
from dream.engine.backends.converted_networks import ConvertedNetworks
def wait(xml):
    print("writing", flush=True)
    sys.stdin.read()
ConvertedNetworks(Path(sys.argv[1])).add("a", wait, {"engine": "OpenVINO 1.2"})
"""


def test_only_a_process_that_has_ended_has_crashed(networks: ConvertedNetworks) -> None:
    arguments = [sys.executable, "-c", WRITES, str(networks.folder)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"writing\n"
        assert networks.find("a") is None, "it is still being written"
        networks.add("b", write(), {})
        (partial,) = networks.folder.glob(".partial-*")
        other.kill()
    again = ConvertedNetworks(networks.folder).find("a")
    assert again is not None and not partial.exists()
    assert again.failure == (
        "the process ended while OpenVINO 1.2 converted it (to try again, delete openvino/a in"
        " dream's cache or install another version)"
    ).replace("openvino/a", f"{networks.folder.parent.name}/openvino/a")
    shutil.rmtree(again.folder)
    assert networks.find("a") is None, "it is tried again"


def test_another_process_with_the_number_of_the_one_that_crashed(
    networks: ConvertedNetworks,
) -> None:
    networks.add("a", write(), {})
    mine = networks.folder / f".partial-{os.getpid()}-b-x"
    mine.mkdir()
    assert networks.find("b") is None and mine.exists()
    (mine / INFO).write_text('{"started": 1.0}')
    assert (found := networks.find("b")) is not None and found.failure


def test_what_was_stopped_on_purpose_has_not_crashed(networks: ConvertedNetworks) -> None:
    networks.folder.mkdir()
    left = networks.folder / f".partial-{2**22 + 1}-b-x"
    left.mkdir()
    networks.discard_partial(2**22 + 1)
    assert not left.exists() and networks.find("b") is None
    left.mkdir()
    (left / INFO).write_text(f'{{"parent": {2**22 + 1}}}')  # the prompt was closed, too
    assert networks.find("b") is None and not left.exists()
    left.mkdir()
    (left / INFO).write_text(f'{{"parent": {os.getpid()}}}')
    assert (found := networks.find("b")) is not None and found.failure


TRIES = """
import sys
from pathlib import Path
from dream.engine.backends.converted_networks import ConvertedNetworks
networks = ConvertedNetworks(Path(sys.argv[1]))
networks.set_trying(networks.find("a"), ((1, 4),))
print("trying", flush=True)
sys.stdin.read()
"""


def test_shapes_that_ended_a_process_are_known(networks: ConvertedNetworks) -> None:
    network = networks.add("a", write(), {})
    arguments = [sys.executable, "-c", TRIES, str(networks.folder)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"trying\n"
        assert not find(networks).crashed(((1, 4),)), "it is still being tried"
        networks.set_checked(network, ((2, 4),), True)  # meanwhile, by this process
        networks.set_trying(network, None)
        other.kill()
    found = find(networks)
    assert found.crashed(((1, 4),)) and not found.crashed(((2, 4),)) and found.checked(((2, 4),))
    networks.set_trying(found, "variable")  # by the next process
    assert find(networks).crashed(((1, 4),)), "which knows"
    networks.set_trying(found, None)
    assert networks.set_checked(found, ((1, 4),), True).crashed(((1, 4),))
    found = find(networks)
    assert found.crashed(((1, 4),)) and not found.crashed("variable")


def test_a_trial_in_another_process_is_remembered(networks: ConvertedNetworks) -> None:
    network = networks.add("a", write(), {})
    assert not network.tried("x") and not network.was_tried
    assert not networks.set_tried(network, "x", False).was_tried
    networks.set_tried(network, "y", True)
    found = find(networks)
    assert found.tried("y") and found.crashed("x") and not found.tried("x")
    (found.folder / INFO).write_text(
        (found.folder / INFO).read_text().replace('["x"]', "1").replace('["y"]', "{}")
    )
    assert not find(networks).crashed("x") and not find(networks).tried("y")


def find(networks: ConvertedNetworks) -> ConvertedNetwork:
    found = networks.find("a")
    assert found is not None
    return found
