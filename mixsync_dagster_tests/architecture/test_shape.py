"""Sizes and promises that hold for every module."""

import ast

from mixsync_dagster_tests.architecture.source_tree import modules

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGEST_CLASS = 250


def nodes(kind):
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, kind):
                yield module, node


def test_the_package_is_found():
    assert len(modules()) > 60


def test_files_stay_readable_in_one_sitting():
    long = {
        str(module.path): length
        for module in modules()
        if (length := len(module.path.read_text("utf-8").splitlines())) > LONGEST_FILE
    }
    assert long == {}


def test_functions_fit_on_a_screen():
    long = {
        f"{module.path}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for module, node in nodes((ast.FunctionDef, ast.AsyncFunctionDef))
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert long == {}


def test_classes_have_one_concern():
    # Protocols of the state store and contract suites are lists of promises, not code.
    long = {
        f"{module.path}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for module, node in nodes(ast.ClassDef)
        if node.end_lineno - node.lineno + 1 > LONGEST_CLASS and module.layer not in {"ports", "testing"}
    }
    assert long == {}


def test_every_module_says_what_it_is_for():
    assert [str(module.path) for module in modules() if not ast.get_docstring(module.tree)] == []


def test_broad_excepts_say_why():
    unexplained = []
    for module, node in nodes(ast.ExceptHandler):
        broad = node.type is None or (
            isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
        )
        line = module.path.read_text("utf-8").splitlines()[node.lineno - 1]
        reraised = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
        if broad and not reraised and "#" not in line:
            unexplained.append(f"{module.path}:{node.lineno}")
    assert unexplained == []


def test_nothing_prints():
    prints = [
        f"{module.path}:{node.lineno}"
        for module, node in nodes(ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []
