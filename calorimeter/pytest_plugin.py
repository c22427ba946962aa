"""The pytest plugin: `pytest --deployment FILE PATH-TO-GATES` in any test suite.

The plugin is off unless `--deployment` or `--run` is on the command line and belongs to no other plugin
or conftest.py. While it is off it adds no option and no fixture, and only deselects gates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from calorimeter.gates.marker import MARKER

TRIGGERS = ("--deployment", "--run")
SESSION_PLUGIN = "calorimeter.gates.pytest_session"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options here if a conftest.py loads the plugin: the hook below has begun by then."""
    if any(name.endswith("conftest.py") for name, _ in pluginmanager.list_name_plugin()):
        config = pluginmanager.get_plugin("pytestconfig")
        assert isinstance(config, pytest.Config)
        _switch_on(config, parser, config.invocation_params.args)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Iterator[None]:
    """Add the options after every conftest.py of the suite has added its own."""
    yield
    _switch_on(early_config, parser, args)


def _switch_on(config: pytest.Config, parser: pytest.Parser, args: Sequence[str]) -> None:
    given = {arg.partition("=")[0] for arg in args} & set(TRIGGERS)
    if not given or config.pluginmanager.has_plugin(SESSION_PLUGIN):
        return
    groups = (*parser._groups, parser._anonymous)
    taken = {name for group in groups for option in group.options for name in option.names()}
    if not given - taken:
        return
    from calorimeter.gates import pytest_session

    pytest_session.add_options(parser, taken)
    config.pluginmanager.register(pytest_session, SESSION_PLUGIN)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, so that gates can be collected with --strict-markers while the plugin is off."""
    what = "a gate of Calorimeter; runs only with --deployment FILE or --run RUN"
    config.addinivalue_line("markers", f"{MARKER}(gate): {what}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect gates unless the plugin is on."""
    if config.pluginmanager.has_plugin(SESSION_PLUGIN):
        return
    gates = [item for item in items if item.get_closest_marker(MARKER)]
    if gates:
        config.hook.pytest_deselected(items=gates)
        items[:] = [item for item in items if item not in gates]
