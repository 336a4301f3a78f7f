"""A dashboard as a W&B workspace.

This file decides which of W&B's panels a panel of ours is. Building needs no key and no network; only `save` talks to
W&B. Its library is an extra, imported when asked for.
"""

from collections.abc import Sequence
from typing import Any

from dlmreason.reports.dashboard import CURVES, Panel, Section

EXTRA = "the library of W&B's workspaces is not installed: pip install -e '.[dashboards]'"


def workspace(sections: Sequence[Section], entity: str, project: str, title: str) -> Any:
    """A `wandb_workspaces.workspaces.Workspace` that shows what is specified, and nothing of W&B's own choice.

    Raises: ImportError where the extra is not installed.
    """
    try:
        from wandb_workspaces import workspaces
    except ImportError as error:
        raise ImportError(EXTRA) from error
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=title,
        sections=[
            workspaces.Section(name=each.name, panels=[_drawn(panel) for panel in each.panels], is_open=True)
            for each in sections
        ],
        settings=workspaces.WorkspaceSettings(max_runs=50, tooltip_number_of_runs="all_runs"),
        auto_generate_panels=False,
    )


def _drawn(panel: Panel) -> Any:
    from wandb_workspaces.reports import v2

    if panel.kind in CURVES:
        return v2.LinePlot(
            title=panel.title,
            x=panel.along,
            metric_regex=panel.pattern,
            log_x=panel.kind != "training",
            log_y=panel.log,
            title_x=panel.along,
        )
    (name,) = panel.names
    if panel.kind == "table":
        return v2.WeavePanelSummaryTable(table_name=name)
    return v2.MediaBrowser(title=panel.title, media_keys=[name], num_columns=1)


def save(sections: Sequence[Section], entity: str | None, project: str, title: str) -> str:
    """Uploads the workspace as a view of its own and gives its address. entity: None is the key's own.

    Raises: ImportError; what W&B raises.
    """
    import wandb

    owner = entity or wandb.Api().default_entity
    view = workspace(sections, owner, project, title).save_as_new_view()
    return str(view.url)
