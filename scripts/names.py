"""Measure the package's names: python -m scripts.names [FOLDER …]

A public function's name should begin with a verb; a participle (`told`, `given`) leaves a reader
guessing; and one name for two classes or two modules sends a search to the wrong place.
"""

from __future__ import annotations

import argparse
import ast
import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERBS = frozenset(
    """
    accepts accept add adjust align allocate allow analyze answer append apply ask assemble assign
    attach average begin bind blend build calculate call can cancel cast change check choose clamp
    clean clear clip close collect combine compact compare complete compute configure confirm
    connect contains convert copy count crop cut decode decrypt define delete deliver denoise derive
    describe detach detect disable discard dispatch display download draw drop edit embed empty
    enable encode encrypt end ensure enter enumerate escape estimate evaluate exclude execute exit
    expand explain export extend extract fade feather fetch fill filter find finish fit flatten
    flush fold follow format forward free freeze generate get group guess handle has hash hide
    highlight hold identify ignore import include index infer init insert inspect install
    interpolate interrupt invert is iterate join keep kill launch leave limit link list load locate
    lock log look lookup make map mark mask match may measure merge mirror move multiply must needs
    normalize note notify offer offload open order override pack pad paint parse pause perform pick
    plan play poll pop post predict prefer preload prepare preserve press prevent preview print
    probe process prompt publish pull push put query queue quit quote raise read rebuild receive
    record recover redirect reduce refuse register reject release reload remember remove rename
    render repaint repeat replace replay report request require reserve reset resize resolve restart
    restore resume retry return reuse reverse review rewind rewrite rotate round route run sample
    sanitize save scale scan schedule score search seek select send serve set shift should show
    shrink shut signal silence simulate skip slice smooth snap sort spawn split start step stop
    store strip style submit suggest sum summarize supports suppress suspend swap switch sync take
    terminate test tile to track train transform translate trim truncate turn undo unload unlock
    unpack unset update upload upscale use uses validate verify wait walk warn watch wipe wrap write
    yield
    """.split()  # noqa: SIM905
)
IRREGULAR_PARTICIPLES = frozenset(
    """
    told given sought kept found made begun drawn said shown heard taken left gone brought meant
    felt seen held lent written done known chosen lost torn sent spent thought bound understood
    """.split()  # noqa: SIM905
)
NO_PARTICIPLES = frozenset({"embed", "feed", "need", "seed", "speed"})


@dataclass
class Names:
    """What a package calls things."""

    functions: list[str] = field(default_factory=list)
    """Public functions and methods, without properties."""
    classes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Public class name → the modules that define it."""
    modules: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Module stem → paths."""
    lengths: list[int] = field(default_factory=list)
    """Lines of every function."""

    @property
    def verbs(self) -> float:
        """Share of public functions whose first word is a verb, 0 to 1."""
        return sum(_first_word(name) in VERBS for name in self.functions) / len(self.functions)

    @property
    def participles(self) -> float:
        """Share of public functions whose first word is a participle, 0 to 1."""
        return sum(map(_begins_with_participle, self.functions)) / len(self.functions)

    @property
    def ninetieth_length(self) -> int:
        """Lines of a function that is longer than nine in ten (p90)."""
        return sorted(self.lengths)[len(self.lengths) * 9 // 10]

    @property
    def repeated(self) -> dict[str, list[str]]:
        """Class names and module stems that are in use more than once, with their places."""
        every = {**self.classes, **self.modules}
        return {name: places for name, places in every.items() if len(places) > 1}


def measure_names(*folders: Path) -> Names:
    """The names of all modules below these folders."""
    names = Names()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            where = str(path.relative_to(ROOT))
            if path.stem not in ("__init__", "__main__"):
                names.modules[path.stem].append(where)
            _collect(ast.parse(path.read_text(encoding="utf-8")), where, names)
    return names


def _collect(tree: ast.AST, where: str, names: Names, inside_function: bool = False) -> None:
    for node in ast.iter_child_nodes(tree):
        public = not inside_function and not getattr(node, "name", "_").startswith("_")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.lengths.append((node.end_lineno or node.lineno) - node.lineno + 1)
            if public and not _is_property(node):
                names.functions.append(node.name)
            _collect(node, where, names, inside_function=True)
            continue
        if isinstance(node, ast.ClassDef) and public:
            names.classes[node.name].append(where)
        _collect(node, where, names, inside_function)


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def _first_word(name: str) -> str:
    return name.partition("_")[0]


def _begins_with_participle(name: str) -> bool:
    word = _first_word(name)
    regular = word.endswith("ed") and len(word) > 3 and word not in NO_PARTICIPLES
    return regular or word in IRREGULAR_PARTICIPLES


def _rows(names: Names) -> Iterator[str]:
    yield f"public functions       {len(names.functions)}"
    yield f"begin with a verb      {names.verbs:.1%}"
    yield f"with a participle      {names.participles:.1%}"
    median, longest = statistics.median(names.lengths), max(names.lengths)
    yield (f"function length        median {median:g}, p90 {names.ninetieth_length}, max {longest}")
    for name, places in names.repeated.items():
        yield f"more than once         {name}: {', '.join(places)}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / "dream"])
    for row in _rows(measure_names(*parser.parse_args().folders)):
        print(row)
