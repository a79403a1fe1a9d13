"""Errors, and the hints for a misspelt name."""

from __future__ import annotations

from df3d.errors import Df3dError, InUseError, RunError, Stopped, did_you_mean


def test_a_name_that_is_nearly_right_is_named() -> None:
    assert did_you_mean("levles", ["levels", "features"]) == "did you mean `levels`?"
    assert did_you_mean("modal", ["model", "models", "modes", "modules"]) == "did you mean `model` or `models` or `modules`?"
    assert did_you_mean("glob", ["glb"], otherwise="something else") == "did you mean `glb`?"


def test_a_name_that_is_like_none_gets_what_there_is() -> None:
    assert did_you_mean("xyz", ["b", "a"]) == "choose from `a`, `b`"
    assert did_you_mean("xyz", ["b", "a"], otherwise="install it") == "install it"
    assert did_you_mean("xyz", []) == "choose from nothing: there are none"


def test_a_folder_in_use_is_a_matter_of_the_run_and_a_stop_is_no_mistake() -> None:
    error = InUseError("in use", "wait")
    assert isinstance(error, RunError)
    assert isinstance(error, Df3dError)
    assert (str(error), error.message, error.hint) == ("in use", "in use", "wait")
    assert Df3dError("alone").hint == ""
    assert not issubclass(Stopped, Df3dError)
