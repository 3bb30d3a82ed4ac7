"""Everything public says what it is, and functions of tensors say their shapes."""

import ast
import re
from collections.abc import Iterator

# Folders whose public functions carry jaxtyping annotations.
SHAPED = {"geometry", "media", "rendering", "networks", "metrics", "methods"}
_ARRAYS = {"Tensor", "ndarray"}
_SHAPE_WORDS = re.compile(
    r"\([^()]*\d[^()]*\)|\(\w+,[^()]*\)|\bsee `\w+|\bshapes?\b|\bscalars?\b|\bRGBA?\b",
    re.IGNORECASE,
)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def is_public(name: str) -> bool:
    """Whether a name is for users of the module."""
    return not name.startswith("_")


def is_overload(node: ast.AST) -> bool:
    """Whether a function is the typing of another one, a setter, or says that it repeats an inherited one."""
    decorators = getattr(node, "decorator_list", [])
    names = {ast.unparse(item).split("(")[0].rsplit(".", 1)[-1] for item in decorators}
    return bool(names & {"overload", "override", "setter"})


def public_definitions(tree: ast.AST) -> Iterator[tuple[str, Definition]]:
    """Find public functions, classes and methods (in branches too, but not inside functions)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            if is_public(node.name) and not is_overload(node):
                yield node.name, node
                if isinstance(node, ast.ClassDef):
                    yield from ((f"{node.name}.{name}", inner) for name, inner in public_definitions(node))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from public_definitions(node)


def unshaped(annotation: ast.AST | None) -> bool:
    """Whether an annotation has a bare tensor or array: `list[Tensor]`, but not `Float[Tensor, "n"]`."""
    if annotation is None:
        return False
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return unshaped(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.Name):
        return annotation.id in _ARRAYS
    if isinstance(annotation, ast.Attribute):
        return annotation.attr in _ARRAYS
    if isinstance(annotation, ast.Subscript):
        inside = annotation.slice
        shaped = (
            isinstance(inside, ast.Tuple)
            and len(inside.elts) == 2
            and isinstance(inside.elts[1], ast.Constant)
            and isinstance(inside.elts[1].value, str)
        )
        # A dictionary of tensors by name has no common shape to state.
        named = isinstance(annotation.value, ast.Name) and annotation.value.id in {"dict", "Mapping"}
        return not shaped and not named and unshaped(inside)
    return any(unshaped(child) for child in ast.iter_child_nodes(annotation))


def lacks_shapes(node: Definition) -> bool:
    """Whether a function has bare tensors in its signature and its docstring does not speak of shapes."""
    if isinstance(node, ast.ClassDef):
        return False
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    annotations = [argument.annotation for argument in arguments] + [node.returns]
    return any(unshaped(item) for item in annotations) and not _SHAPE_WORDS.search(
        ast.get_docstring(node) or ""
    )


def test_everything_public_has_a_docstring(modules):
    missing = [module.place for module in modules if not (ast.get_docstring(module.tree) or "").strip()]
    for module in modules:
        for name, node in public_definitions(module.tree):
            if not (ast.get_docstring(node) or "").strip():
                missing.append(f"{module.place}:{node.lineno} {name}")
    assert not missing, "\n".join(missing)


def test_tensor_functions_state_shapes(modules):
    missing = [
        f"{module.place}:{node.lineno} {name}"
        for module in modules
        if module.folder in SHAPED
        for name, node in public_definitions(module.tree)
        if lacks_shapes(node)
    ]
    assert not missing, "\n".join(missing)


def test_what_is_public_and_what_is_shaped():
    source = '''
def good(x: Float[Tensor, "n 3"], y: "Float[Tensor, 'n'] | None") -> list[Float[np.ndarray, "h"]]: ...
def told(x: Tensor) -> Tensor:
    """Add one to (n, 3) points."""
def bare(x: Tensor) -> None: ...
def bare_optional(x: "Tensor | None") -> None: ...
def bare_array(x: int) -> np.ndarray: ...
def named(x: dict[str, Tensor]) -> None: ...
def _private(x: Tensor): ...
class Thing:
    def method(self, *, x: Sequence[torch.Tensor]) -> None: ...
    @typing.overload
    def other(self, x: Tensor) -> None: ...
'''
    definitions = dict(public_definitions(ast.parse(source)))
    assert list(definitions) == [
        *("good", "told", "bare", "bare_optional", "bare_array", "named", "Thing", "Thing.method")
    ]
    assert [name for name, node in definitions.items() if lacks_shapes(node)] == [
        *("bare", "bare_optional", "bare_array", "Thing.method")
    ]
