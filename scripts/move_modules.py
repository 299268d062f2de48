"""Move modules by the table `scripts/moves.txt` (old name, new name) and rewrite their names.

    python scripts/move_modules.py

Where several old modules have the same new name, the first is the base and the bodies of the others
are appended to it. Imports, dotted names in strings (`-m handssl...`, `module:function`) and paths
in documents are rewritten in one pass; files that hold stored data are left alone.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "scripts" / "moves.txt"
ROOTS = ("handssl", "tests", "tune_spaces", "scripts", "benchmarks")
TEXTS = {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".html", ".j2", ".cfg", ".txt", ".json", ""}
# Names that stored data refer to, results, and this script with its table.
LEFT = (
    "tests/reference/storage",
    "tests/reference/trial_ids.json",
    "tests/reference/numerics.json",
    "benchmarks/curves",
    "CHANGELOG.md",
    "scripts/mo",
    "scripts/rename",
)


def main() -> None:
    """Move everything that is still under its old name."""
    table = dict(
        line.split()
        for line in TABLE.read_text().splitlines()
        if line.strip() and not line.startswith("#")
    )
    files = [Path(name) for name in _git("ls-files").splitlines()]
    modules = {
        _dotted(file): file for file in files if file.suffix == ".py" and file.parts[0] in ROOTS
    }
    moves = Moves(table, modules)
    for file in files:
        if (
            file.suffix in TEXTS
            and not str(file).startswith(LEFT)
            and (ROOT / file).is_file()
            and not (ROOT / file).is_symlink()
        ):
            _rewrite(ROOT / file, file, moves)
    targets = defaultdict(list)
    for old, file in modules.items():
        targets[moves.new(old)].append((old, file))
    for new, olds in targets.items():
        order = sorted(
            olds, key=lambda pair: list(table).index(pair[0]) if pair[0] in table else -1
        )
        _place(new, [file for _, file in order])
    _packages()


class Moves:
    """New names of modules.

    Args:
        table: Old to new names.
        modules: File of each module.
    """

    def __init__(self, table: dict[str, str], modules: dict[str, Path]) -> None:
        self.table, self.modules = table, modules
        self.packages = {name for name, file in modules.items() if file.name == "__init__.py"} | {
            ".".join(name.split(".")[:k]) for name in modules for k in range(1, name.count(".") + 1)
        }

    def new(self, name: str) -> str:
        """Return the new name of a module, package, or something in one."""
        parts = name.split(".")
        for k in range(len(parts), 0, -1):
            prefix = ".".join(parts[:k])
            if prefix in self.table and (prefix in self.modules or prefix in self.packages):
                if (
                    k < len(parts)
                    and prefix not in self.packages
                    and prefix + "." + parts[k] in self.modules
                ):
                    continue
                return ".".join([self.table[prefix], *parts[k:]])
        return name


def _rewrite(path: Path, file: Path, moves: Moves) -> None:
    text = path.read_text(encoding="utf-8")
    held: list[str] = []
    if file.suffix == ".py":
        text = _modules_imported(text, moves, held)
        text = _parents(text, file, moves)
    text = re.sub(
        r"(?<![\w.\-])(handssl|tests)(\.[a-z_][a-z0-9_]*)+", lambda m: moves.new(m[0]), text
    )
    text = re.sub(
        r"(?<![\w.])(handssl|tests)((?:/[a-z_][a-z0-9_]*)+)(\.py)?", lambda m: _path(m, moves), text
    )
    for number, statement in enumerate(held):
        text = text.replace(f"\0{number}\0", statement)
    if text != path.read_text(encoding="utf-8"):
        path.write_text(text, encoding="utf-8")


def _path(match: re.Match[str], moves: Moves) -> str:
    dotted = (match[1] + match[2]).replace("/", ".")
    if match[3] and dotted not in moves.modules:
        return match[0]
    new = moves.new(dotted)
    return match[0] if new == dotted else new.replace(".", "/") + (match[3] or "")


def _modules_imported(text: str, moves: Moves, held: list[str]) -> str:
    """Rewrite statements that import a module by its name, and the uses of that name."""
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    renames: dict[str, str] = {}
    edits = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        if node.module.split(".")[0] not in ("handssl", "tests"):
            continue
        groups: dict[str, list[str]] = defaultdict(list)
        special = False
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            is_module = full in moves.modules and not _defines(node.module, alias.name, moves)
            if not is_module:
                groups[moves.new(node.module)].append(_as(alias.name, alias.asname))
                continue
            parent, _, base = moves.new(full).rpartition(".")
            special |= (parent, base) != (moves.new(node.module), alias.name)
            groups[parent].append(_as(base, alias.asname))
            if base != alias.name and not alias.asname:
                renames[alias.name] = base
        if special:
            indent = " " * node.col_offset
            joined = "\n".join(
                f"{indent if k else ''}from {parent} import {', '.join(names)}"
                for k, (parent, names) in enumerate(groups.items())
            )
            edits.append(
                (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset, joined)
            )
    bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
        a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)
    }
    for old, new in renames.items():
        if new in bound:
            print(f"  {new} is bound already: check", old)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in renames:
            edits.append(
                (
                    node.lineno,
                    node.col_offset,
                    node.end_lineno,
                    node.end_col_offset,
                    renames[node.id],
                )
            )
    for top, left, bottom, right, new in sorted(edits, reverse=True):
        before = lines[top - 1].encode()[:left].decode()
        after = lines[bottom - 1].encode()[right:].decode()
        if new.lstrip().startswith("from "):
            held.append(new)
            new = f"\0{len(held) - 1}\0"
        lines[top - 1 : bottom] = [before + new + after]
    return "".join(lines)


def _defines(package: str, name: str, moves: Moves) -> bool:
    """Return whether a package itself has a name that is also one of its modules."""
    file = moves.modules.get(package)
    if file is None or file.name != "__init__.py":
        return False
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.ImportFrom) and any(
            (a.asname or a.name) == name for a in node.names
        ):
            return True
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return True
    return False


def _as(name: str, asname: str | None) -> str:
    return f"{name} as {asname}" if asname else name


def _parents(text: str, file: Path, moves: Moves) -> str:
    """Let `Path(__file__).parents[N]` mean the folder that it meant before."""
    deeper = moves.new(_dotted(file)).count(".") - _dotted(file).count(".")
    return re.sub(
        r"Path\(__file__\)\.parents\[(\d)\]",
        lambda m: f"Path(__file__).parents[{int(m[1]) + deeper}]",
        text,
    )


def _place(new: str, files: list[Path]) -> None:
    base, *others = files
    target = (
        Path(*new.split("."), "__init__.py")
        if base.name == "__init__.py"
        else Path(*new.split(".")).with_suffix(".py")
    )
    if target != base:
        (ROOT / target).parent.mkdir(parents=True, exist_ok=True)
        _git("mv", str(base), str(target))
    for other in others:
        _append(ROOT / target, ROOT / other, new)
        _git("rm", "-q", "-f", str(other))


def _append(target: Path, other: Path, name: str) -> None:
    imports, body = _split(other.read_text())
    text = target.read_text()
    tree = ast.parse(text)
    last = max(
        (n.end_lineno or 0 for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))),
        default=0,
    )
    last = last or (tree.body[0].end_lineno or 0)
    lines = text.splitlines()
    merged = [*lines[:last], *imports, *lines[last:], "", "", *body]
    kept = "\n".join(merged) + "\n"
    target.write_text(
        re.sub(rf"^from {re.escape(name)} import (\([^)]*\)|[^\n(]*)\n", "", kept, flags=re.M)
    )


def _split(text: str) -> tuple[list[str], list[str]]:
    tree, lines = ast.parse(text), text.splitlines()
    heads = [
        n
        for n in tree.body
        if isinstance(n, (ast.Import, ast.ImportFrom)) and getattr(n, "module", "") != "__future__"
    ]
    imports = [line for n in heads for line in lines[n.lineno - 1 : n.end_lineno]]
    start = max(
        (n.end_lineno or 0 for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))),
        default=tree.body[0].end_lineno,
    )
    return imports, lines[start:]


def _packages() -> None:
    for file in (ROOT / "handssl").rglob("*.py"):
        init = file.parent / "__init__.py"
        if not init.exists():
            init.write_text(f'"""{file.parent.name}."""\n')
            _git("add", str(init))


def _dotted(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git {' '.join(words)}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
