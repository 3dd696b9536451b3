"""Which secrets a process can come to read, told from its code.

From its entry point, every function, class and constant that the code names is followed through the project's modules;
what is asked for by `.secret(…)` there is what the process reads. A name that is put together (`kafka_{user}_password`)
is followed to where its parts come from: the callers' arguments, or the constants that a loop goes over. Where that
cannot be told, it says so instead of guessing.
"""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("services", "infra")

Name = tuple[str, str]
Function = ast.FunctionDef | ast.Lambda


class CannotTell(Exception):
    """The code asks for a secret whose name does not stand in it."""


@dataclass(frozen=True)
class Module:
    name: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST]
    definitions: dict[str, ast.AST]
    imports: dict[str, Name]
    """What a name stands for: a module and a name in it ("" for the module itself)."""


def path_of(module: str) -> Path | None:
    if module.split(".")[0] not in PROJECT:
        return None
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@cache
def parsed(name: str) -> Module:
    path = path_of(name)
    assert path, name
    tree = ast.parse(path.read_text())
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    definitions: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = node
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                definitions[target.id] = node
    imports: dict[str, Name] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                imports[alias.asname or alias.name] = (inner, "") if path_of(inner) else (node.module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                imports[alias.asname or alias.name] = (alias.name, "")
    return Module(name, tree, parents, definitions, imports)


def meant(module: Module, node: ast.AST) -> Name | None:
    """The definition of the project that an expression names."""
    if isinstance(node, ast.Name):
        if node.id in module.definitions:
            return module.name, node.id
        where, name = module.imports.get(node.id, ("", ""))
        return (where, name) if name and path_of(where) else None
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        where, name = module.imports.get(node.value.id, ("", ""))
        return (where, node.attr) if not name and path_of(where) and node.attr in parsed(where).definitions else None
    return None


def reached(module: str, entry: str) -> set[Name]:
    """All definitions that `entry` leads to."""
    found: set[Name] = set()
    left: list[Name] = [(module, entry)]
    while left:
        name = left.pop()
        if name in found or name[1] not in parsed(name[0]).definitions:
            continue
        found.add(name)
        here = parsed(name[0])
        left += [there for node in ast.walk(here.definitions[name[1]]) if (there := meant(here, node))]
    return found


@cache
def secrets_read(module: str, entry: str = "main") -> frozenset[str]:
    """The secrets that a process which begins in `entry` of `module` can read. Raises CannotTell."""
    code = reached(module, entry)
    found: set[str] = set()
    for where, name in code:
        here = parsed(where)
        for node in ast.walk(here.definitions[name]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "secret":
                found |= values(code, here, node.args[0])
    return frozenset(found)


def values(code: set[Name], here: Module, node: ast.AST) -> set[str]:
    """What the text `node` can be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.JoinedStr):
        texts = {""}
        for piece in node.values:
            inner = piece.value if isinstance(piece, ast.FormattedValue) else piece
            texts = {text + more for text in texts for more in values(code, here, inner)}
        return texts
    if isinstance(node, ast.Name):
        scope: ast.AST | None = node
        while scope := here.parents.get(scope):  # type: ignore[arg-type]
            if isinstance(scope, ast.FunctionDef | ast.Lambda) and node.id in parameters(scope):
                return arguments(code, here, scope, node.id)
            loops = [scope] if isinstance(scope, ast.For) else getattr(scope, "generators", [])
            for loop in loops:
                if isinstance(loop.target, ast.Name) and loop.target.id == node.id:
                    return set(evaluated(here, loop.iter))
        if node.id in here.definitions:
            return {str(evaluated(here, node))}
    if isinstance(node, ast.Attribute) and meant(here, node):
        return {str(evaluated(here, node))}
    raise CannotTell(f"{here.name}, line {getattr(node, 'lineno', '?')}: {ast.unparse(node)}")


def evaluated(here: Module, node: ast.expr | ast.Name) -> Any:
    return eval(ast.unparse(node), vars(importlib.import_module(here.name)))


def parameters(function: Function) -> list[str]:
    return [one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def arguments(code: set[Name], here: Module, function: Function, parameter: str) -> set[str]:
    """What the callers that are reached give to `function` as `parameter`."""
    owner = here.parents[function]
    if isinstance(function, ast.Lambda):
        raise CannotTell(f"{here.name}, line {function.lineno}: a lambda's {parameter}")
    position = parameters(function).index(parameter) - isinstance(owner, ast.ClassDef)
    found: set[str] = set()
    for where, name in code:
        there = parsed(where)
        for node in ast.walk(there.definitions[name]):
            if isinstance(node, ast.Call) and calls(there, node.func, here, function, owner):
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                given = named.get(parameter) or (node.args[position] if position < len(node.args) else None)
                if given is None:
                    raise CannotTell(f"{where}, line {node.lineno}: no {parameter} is given")
                found |= values(code, there, given)
    return found


def calls(there: Module, called: ast.expr, here: Module, function: ast.FunctionDef, owner: ast.AST) -> bool:
    """Whether `called`, an expression in `there`, is `function` of `here`."""
    if not isinstance(owner, ast.ClassDef):
        return meant(there, called) == (here.name, function.name)
    if function.name == "__init__":
        return meant(there, called) == (here.name, owner.name)
    return isinstance(called, ast.Attribute) and called.attr == function.name
