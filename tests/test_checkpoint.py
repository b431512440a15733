"""Checkpoints are whole or absent, verified when read, and never lost to a failed write."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from dnas import checkpoint
from dnas.checkpoint import Checkpoints, load_tree, save_tree
from dnas.errors import UserError


def tree(value: float) -> dict[str, jax.Array]:
    return {"w": jnp.full((3, 2), value), "key": jax.random.key(int(value)), "step": jnp.asarray(int(value))}


def same(a: dict[str, jax.Array], b: dict[str, jax.Array]) -> bool:
    return bool((a["w"] == b["w"]).all()) and bool(
        (jax.random.key_data(a["key"]) == jax.random.key_data(b["key"])).all()
    )


def damage(folder: Path, how: str) -> None:
    largest = max((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    if how == "flip a bit":
        content[len(content) // 2] ^= 1
        largest.write_bytes(content)
    elif how == "truncate":
        largest.write_bytes(content[: len(content) // 2])
    else:
        largest.unlink()


def test_round_trip_keeps_bits_and_typed_keys(tmp_path: Path) -> None:
    save_tree(tmp_path / "tree", tree(3.0))
    restored = load_tree(tmp_path / "tree", tree(0.0))
    assert same(restored, tree(3.0))
    assert int(restored["step"]) == 3


def test_a_relative_path_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_tree(Path("runs") / "tree", tree(3.0))
    assert same(load_tree(Path("runs") / "tree", tree(0.0)), tree(3.0))


@pytest.mark.parametrize("how", ["flip a bit", "truncate", "delete"])
def test_a_damaged_newest_checkpoint_gives_a_warning_and_the_one_before(tmp_path: Path, how: str) -> None:
    checkpoints = Checkpoints(tmp_path / "phase")
    for step in (1, 2, 3):
        checkpoints.save(step, tree(float(step)))
    assert checkpoints.steps() == [2, 3]
    damage(tmp_path / "phase" / "step-3", how)
    warnings: list[str] = []
    restored = checkpoints.restore(tree(0.0), warnings.append)
    assert restored is not None
    assert same(restored, tree(2.0))
    assert len(warnings) == 1
    assert "step-3" in warnings[0]


def test_a_half_written_checkpoint_is_not_seen(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, tree(1.0))
    (tmp_path / ".step-2.unfinished").mkdir()
    (tmp_path / ".step-2.unfinished" / "part").write_text("half")
    assert checkpoints.steps() == [1]
    checkpoints.save(2, tree(2.0))
    assert checkpoints.steps() == [1, 2]


def test_a_failed_write_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, tree(1.0))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.ocp, "save", full)
    with pytest.raises(UserError, match="No space left on device") as caught:
        checkpoints.save(2, tree(2.0))
    assert "\n" not in str(caught.value)
    assert checkpoints.steps() == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-1"]
    restored = checkpoints.restore(tree(0.0), pytest.fail)
    assert restored is not None
    assert same(restored, tree(1.0))


def test_a_full_disk_is_seen_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: Usage)
    monkeypatch.setattr(checkpoint.ocp, "save", lambda *args: pytest.fail("wrote to a full disk"))
    with pytest.raises(UserError, match="No space left on device"):
        save_tree(tmp_path / "tree", tree(1.0))
    assert list(tmp_path.iterdir()) == []


def test_another_structure_is_refused(tmp_path: Path) -> None:
    save_tree(tmp_path / "tree", tree(1.0))
    with pytest.raises(UserError, match="damaged or of another program"):
        load_tree(tmp_path / "tree", {"other": jnp.zeros(2)})


def test_nothing_to_restore_is_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "absent").restore(tree(0.0), pytest.fail) is None
