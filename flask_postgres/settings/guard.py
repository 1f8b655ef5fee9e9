"""The guard: whether ``cli_disallowed_envs`` lets commands change anything in the current environment."""

from __future__ import annotations

from .resolution import Resolution


def refusal(resolution: Resolution) -> str | None:
    """Return how a refusal goes on after the name of the command; None where the guard is open.

    Names compare without regard to case. Where nothing sets the environment and debug is off, it counts as
    every one that is disallowed.

    :raises SettingsError: if a setting is wrong.
    """
    settings, environment = resolution.settings, resolution["env"]
    disallowed = settings.cli_disallowed_envs
    listed = f"(from {resolution['cli_disallowed_envs'].origin})."
    if not disallowed:
        return None
    if not resolution.is_set("env") and settings.env == environment.setting.default:
        names = ", ".join(disallowed)
        where = "is not allowed where nothing sets the environment and debug is off"
        return f"{where}; cli_disallowed_envs disallows {names} {listed}"
    if settings.env.casefold() not in {name.casefold() for name in disallowed}:
        return None
    where = f'is not allowed in the environment "{settings.env}" (from {environment.origin})'
    return f"{where}; cli_disallowed_envs disallows it {listed}"
