"""What the architectures of a front cost: one cost model, of the networks that are judged."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dnas import plugins
from dnas.errors import UserError
from dnas.hardware.exact import METRICS as COUNTED
from dnas.hardware.exact import exact
from dnas.hardware.model import CostModel
from dnas.pareto.request import Request
from dnas.run import settings
from dnas.run.budget import budget
from dnas.run.config import method_of, setting_table
from dnas.run.planning import Plan


def price(request: Request, plan: Plan, *, judged: bool) -> CostModel:
    """Return the cost model of a front.

    Args:
        request: the front.
        plan: of one of its searches.
        judged: whether a table says how good architectures are. The networks are then those of the table, which the
            defaults of the space's `build` are, and else those that the preset retrains; settings that the user gave
            count in both cases.

    Raises:
        UserError: for unknown hardware, a profile of another space, or one without the metric.
    """
    config, space = plan.config, plan.space
    module = plugins.find(plugins.SPACES, "space", config.space)
    values = {**config.values, **(_of_table(request, module.build) if judged else {})}
    shape, classes = plan.dataset.image_shape, len(plan.dataset.classes)
    hardware = (request.hardware,) if request.hardware else ()
    models = budget(replace(config, hardware=hardware, values=values), space, shape, classes, module.build).models
    found = [model for model in models if model.metric == request.metric]
    if found:
        return found[0]
    if request.metric in COUNTED:
        return exact(space, request.metric, shape, settings=settings.group(values, "retrain", module.build))
    known = ", ".join(model.metric for model in models)
    raise UserError(
        f"--hardware {request.hardware} says nothing of {request.metric}: choose another device, or --metric "
        f"{known or 'latency'}"
    )


def _of_table(request: Request, build: Any) -> Mapping[str, Any]:
    """Return the settings of the networks of the space's table, as far as the user did not give others."""
    arm, module = request.searches.arms[0], plugins.find(plugins.SPACES, "space", request.searches.space)
    table = setting_table(module, method_of(arm.method))
    given = settings.parse(table, (*request.searches.assignments, *arm.assignments))
    own = settings.from_signature("retrain", build, without=("genotype", "classes"))
    return {name: given.get(name, setting.default) for name, setting in own.items()}
