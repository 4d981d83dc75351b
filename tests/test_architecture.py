"""The direction of imports, as docs/design describes it: one line, no cycle, heavy libraries in one place each."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
FOLDERS = ("core", "models", "pages")
SOURCES = [PROJECT / "app.py", *(path for folder in FOLDERS for path in sorted((PROJECT / folder).rglob("*.py")))]

ONLY_IN = {
    "streamlit": ("app.py", "pages/"),
    "torch": ("models/",),
    "torchvision": ("models/",),
    "openslide": ("core/slides/",),
    "tifffile": ("core/slides/", "core/phantom/"),
    "simplejpeg": ("core/slides/", "core/phantom/"),
    "sqlite_utils": ("core/store/",),
    "sqlite3": ("core/store/",),
    "plotly": ("pages/",),
    "matplotlib": ("core/documents/",),
    "fpdf": ("core/documents/",),
    "captum": ("models/",),
    "click": ("core/__main__.py", "core/commands/"),
}
"""Library -> the only places that import it."""

STAGES = (
    "core.errors",
    "core.domain",
    "core.shares",
    "core.schemes",
    "core.states",
    "core.vocabulary",
    "core.discordance",
    "core.rules",
    "core.roles",
    "core.settings",
    "core.slides",
    "core.optics",
    "core.ink",
    "core.saliency",
    "core.tissue",
    "core.tiles",
    "core.tile_loop",
    "core.inference",
    "core.aggregation",
    "core.heatmap",
    "core.qc",
    "core.uncertainty",
    "core.flags",
    "core.triage",
    "core.agreement",
    "core.evaluation",
    "core.explain",
)
"""A stage imports only stages above it."""


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def module_of(path: Path) -> str:
    return relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_heavy_libraries_have_one_place_each(path):
    for library, places in ONLY_IN.items():
        if any(within(name, library) for name in imports_of(path)):
            assert relative(path).startswith(places), f"{relative(path)} imports {library}"


@pytest.mark.parametrize("path", [p for p in SOURCES if relative(p).startswith("core/")], ids=relative)
def test_core_never_imports_pages_and_stages_never_import_upwards(path):
    module, names = module_of(path), imports_of(path)
    assert not any(within(name, "pages") or within(name, "app") for name in names)
    stage = next((i for i, name in enumerate(STAGES) if within(module, name)), None)
    if stage is not None:
        for name in names:
            if within(name, "core"):
                position = [i for i, other in enumerate(STAGES) if within(name, other)]
                assert name == "core" or (position and position[0] <= stage), f"{module} imports {name}"
            assert not within(name, "models"), f"{module} imports {name}"


@pytest.mark.parametrize("path", [p for p in SOURCES if relative(p).startswith("core/store/")], ids=relative)
def test_the_store_knows_only_the_domain(path):
    allowed = ("core.store", "core.domain", "core.vocabulary", "core.roles", "core.errors", "core.settings")
    for name in imports_of(path):
        if within(name, "core") and name != "core":
            assert any(within(name, other) for other in allowed), f"{module_of(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in SOURCES if relative(p).startswith("models/")], ids=relative)
def test_models_meet_core_only_through_vocabulary(path):
    allowed = ("core.domain", "core.errors", "core.settings", "core.aggregation", "core.evaluation")
    for name in imports_of(path):
        if within(name, "core") and name != "core":
            assert any(within(name, other) for other in allowed), f"{module_of(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in SOURCES if relative(p).startswith("pages/")], ids=relative)
def test_pages_reach_the_domain_only_through_services(path):
    allowed = (
        *("core.services", "core.server", "core.documents", "core.domain", "core.roles"),
        *("core.errors", "core.settings"),
        *("core.states", "core.vocabulary", "core.qc.classes", "core.store.records", "core.store.consult_records"),
        # The types that the value of an evaluation is made of.
        "core.evaluation",
    )
    allowed_models = ("models.cards",)
    for name in imports_of(path):
        if within(name, "core") and name not in ("core", "core.store"):
            assert any(within(name, other) for other in allowed), f"{module_of(path)} imports {name}"
        if within(name, "models") and name != "models":
            assert any(within(name, other) for other in allowed_models), f"{module_of(path)} imports {name}"


def test_there_is_no_cycle_between_modules():
    graph = {module_of(path): imports_of(path) for path in SOURCES}
    graph = {module: {name for name in names if name in graph} - {module} for module, names in graph.items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for name in sorted(graph[module]):
                # Importing a.b.c also names its parent package a.b, which re-exports from it: no cycle of code.
                if not module.startswith(f"{name}."):
                    visit(name, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_no_pages_folder_lies_beside_the_navigation_script():
    """Streamlit would start in its old multipage mode, where a deep link runs a page without the sign-in gate."""
    assert (PROJECT / "pages" / "router.py").is_file()
    assert not (PROJECT / "pages" / "pages").exists()


@pytest.mark.parametrize("path", sorted((PROJECT / "pages").glob("*.py")), ids=relative)
def test_a_page_shows_nothing_by_a_bare_expression(path):
    """Streamlit prints the value of every bare expression of a page: a docstring of a constant was on the screen."""
    for node in ast.parse(path.read_text()).body[1:]:
        assert not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call), f"{relative(path)}:{node.lineno}"
