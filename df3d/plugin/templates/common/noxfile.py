"""`nox` runs the contract test in the environment that runs nox."""

import nox

nox.options.default_venv_backend = "none"


@nox.session
def tests(session: nox.Session) -> None:
    """What every plugin of its kind promises."""
    session.run("python", "-m", "pip", "install", "-q", "-e", ".", "pytest")
    session.run("python", "-m", "pytest", "-q", *session.posargs)
