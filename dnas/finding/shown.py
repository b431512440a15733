"""What `dnas.find` found, in words: the architecture, and its scores beside those of random ones."""

from collections.abc import Mapping

from dnas.finding.found import Found, Trained


def words(found: Found) -> str:
    """Return the architecture, then a line for each trained network, and what the comparison says."""
    if not found.scores:
        return f"{found.genotype}\n(no network was trained)"
    part = "test" if "test" in found.scores else "valid"
    rows = [("found", found.scores[part], found.costs)]
    rows += [(f"random {number}", one.scores[part], one.costs) for number, one in enumerate(found.baseline)]
    lines = [f"{name:<10} {_numbers(scores)}{_costs(costs)}" for name, scores, costs in rows]
    return "\n".join([str(found.genotype), f"on the {part} data:", *lines, *_verdict(found, found.baseline, part)])


def _numbers(scores: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {_number(name, value)}" for name, value in scores.items())


def _number(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name == "accuracy" else f"{value:.4g}"


def _costs(costs: Mapping[str, float]) -> str:
    return "".join(f"  {name} {value:,.6g}" for name, value in costs.items())


def _verdict(found: Found, baseline: tuple[Trained, ...], part: str) -> list[str]:
    """Return whether the search was worth it, as far as so few networks say."""
    if not baseline:
        return []
    own, rivals = found.scores[part][found.metric], [one.scores[part][found.metric] for one in baseline]
    beaten = sum(own > rival if found.larger_is_better else own < rival for rival in rivals)
    count = "the random architecture" if len(rivals) == 1 else f"{beaten} of {len(rivals)} random architectures"
    if beaten == 0:
        other = "the random architecture" if len(rivals) == 1 else f"any of {len(rivals)} random architectures"
        return [f"The found network did not beat {other}: the search has not paid."]
    return [f"The found network beat {count}; other seeds may say otherwise."]
