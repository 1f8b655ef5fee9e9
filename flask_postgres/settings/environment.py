"""The environment as environs reads it.

environs, with marshmallow behind it, takes longer to load than all other settings code together, so it
loads where a variable is set, and not before.
"""

from __future__ import annotations

import typing as t


def variable(environ: t.Mapping[str, str], name: str) -> str | None:
    """Return a variable's text, or None where it is not set."""
    if name not in environ:
        return None
    import environs

    class Environment(environs.Env):
        """By itself it reads ``os.environ``, and nothing else."""

        def _get_from_environ(
            self,
            key: str,
            default: t.Any,
            *,
            proxied: bool = False,  # noqa: ARG002
        ) -> tuple[str, t.Any, str | None]:
            return key, environ.get(key, default), None

    text: str = Environment(eager=True, expand_vars=False).str(name)
    return text
