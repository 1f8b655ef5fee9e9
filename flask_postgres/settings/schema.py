"""The table of settings: each is declared here, once, as a field of :class:`Settings`.

Types, conversion, environment variables, app config keys, TOML keys, flags and their help, ``config
--show``, the JSON Schema, the example TOML and the README's table all follow from it. To add a setting,
add a field.

``flask psql --help`` imports this module, so it imports nothing that is not loaded already.
"""

# ruff: noqa: RUF009  (setting() makes a dataclasses.field; no default is shared)
from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

    from ..uri import PostgresUri

PREFIX = "FLASK_POSTGRES_"

CONFIG_VARIABLE = "FLASK_POSTGRES_CONFIG"
"""Names the TOML file, as ``--config`` does. Not a setting: it says where settings are."""

ENVIRONMENTS = "environments"
"""The table of the TOML file that has a table for each environment."""

OF_AN_ENVIRONMENT = ("seed", "init_with", "extensions", "schemas", "protect")
"""What may be set for one environment. Nothing that chooses a database, a server or the guard: one typing
error in the name of the environment would reset another database."""

Kind = t.Literal[
    "text",
    "environment",  # the name of an environment, perhaps in quotes
    "environments",  # several of them
    "identifier",  # the name of something in PostgreSQL
    "integer",
    "boolean",
    "seconds",
    "size",
    "list",
    "seeds",  # patterns of files, functions and commands of the app
    "choice",
    "path",
    "uri",
    "attribute",  # module:attribute
]

Group = t.Literal["target", "guard", "create", "init", "server", "test"]

ResetWith = t.Literal["auto", "database", "schema"]
TestInit = t.Literal["init", "schema"]
InitWith = t.Literal["auto", "callback", "migrations", "create_all"]

ServerMode = t.Literal["auto", "embedded", "external"]


def setting(default: t.Any = None, /, **declaration: t.Any) -> t.Any:
    """Declare one setting: its default, and the other fields of :class:`Setting`."""
    return dataclasses.field(default=default, metadata=declaration)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The value of every setting."""

    target_database_uri: PostgresUri | None = setting(
        kind="uri",
        group="target",
        flags=("--uri", "-u"),
        metavar="URI",
        example="postgresql://localhost:5432/mydb",
        help="The database to work on.",
        unset=(
            "SQLALCHEMY_DATABASE_URI from the app's config, then from the environment, "
            "then the extension's own engine"
        ),
    )
    admin_uri: PostgresUri | None = setting(
        kind="uri",
        group="target",
        flags=("--admin-uri",),
        metavar="URI",
        example="postgresql://postgres@localhost:5432/postgres",
        help="The role and address that administer, where those of the target cannot.",
        unset="the target's own",
    )
    admin_dbname: str = setting(
        "postgres",
        kind="identifier",
        group="target",
        flags=("--admin-dbname", "-a"),
        metavar="NAME",
        help="The database to connect to while creating or dropping another.",
    )
    connect_timeout: float = setting(
        10,
        kind="seconds",
        group="target",
        flags=("--connect-timeout",),
        metavar="SECONDS",
        maximum=86_400,
        help="The timeout of each connection attempt, in seconds.",
    )
    cli_disallowed_envs: tuple[str, ...] = setting(
        (),
        kind="environments",
        group="guard",
        example=("production", "staging"),
        help="Environments in which flask psql refuses to change anything.",
    )
    env: str = setting(
        "production",  # if nothing sets it, the guard must refuse
        kind="environment",
        group="guard",
        example="development",
        help="The current environment.",
        unset=(
            "FLASK_ENV or ENV from the app's config, then FLASK_ENV from the environment, "
            "then development when debug is on, else production; "
            "without debug, it then counts as every one of cli_disallowed_envs"
        ),
    )
    protect: bool = setting(
        False,
        kind="boolean",
        group="guard",
        flags=("--protect/--no-protect",),
        help="Mark a new database as protected, so that flask psql never drops it.",
    )
    database_template: str | None = setting(
        kind="identifier",
        group="create",
        flags=("--template", "-t"),
        metavar="NAME",
        example="template1",
        help="The template of a new database.",
        unset="template1",
    )
    owner: str | None = setting(
        kind="identifier",
        group="create",
        flags=("--owner",),
        metavar="ROLE",
        example="app_owner",
        help="The owner of a new database.",
        unset="the role that connects",
    )
    encoding: str | None = setting(
        kind="text",
        group="create",
        flags=("--encoding",),
        metavar="NAME",
        example="UTF8",
        help="The character encoding of a new database.",
        unset="that of the template",
    )
    locale: str | None = setting(
        kind="text",
        group="create",
        flags=("--locale",),
        metavar="NAME",
        example="C.UTF-8",
        help="The locale of a new database: collation and character classes.",
        unset="that of the template",
    )
    lc_collate: str | None = setting(
        kind="text",
        group="create",
        flags=("--lc-collate",),
        metavar="NAME",
        example="C.UTF-8",
        help="The collation order of a new database.",
        unset="that of the template",
    )
    lc_ctype: str | None = setting(
        kind="text",
        group="create",
        flags=("--lc-ctype",),
        metavar="NAME",
        example="C.UTF-8",
        help="The character classes of a new database.",
        unset="that of the template",
    )
    locale_provider: str | None = setting(
        kind="text",
        group="create",
        flags=("--locale-provider",),
        metavar="NAME",
        example="libc",
        help="The locale provider of a new database: libc, icu or builtin.",
        unset="that of the template",
    )
    icu_locale: str | None = setting(
        kind="text",
        group="create",
        flags=("--icu-locale",),
        metavar="NAME",
        example="en-US",
        help="The ICU locale of a new database.",
        unset="that of the template",
    )
    tablespace: str | None = setting(
        kind="identifier",
        group="create",
        flags=("--tablespace",),
        metavar="NAME",
        example="fast_disk",
        help="The tablespace of a new database.",
        unset="that of the template",
    )
    connection_limit: int | None = setting(
        kind="integer",
        group="create",
        flags=("--connection-limit",),
        metavar="NUMBER",
        minimum=-1,
        maximum=2_147_483_647,
        example=50,
        help="The maximum number of concurrent sessions of a new database; -1 means no limit.",
        unset="no limit",
    )
    reset_with: ResetWith = setting(
        "auto",
        kind="choice",
        group="create",
        flags=("--reset-with",),
        choices=t.get_args(ResetWith),
        help="What reset replaces: the database, or what is in its schemas; auto prefers the former.",
    )
    undo_limit: str = setting(
        "1GB",
        kind="size",
        group="create",
        example="200MB",
        help="The largest database that reset, drop and --overwrite keep for undo; 0 keeps none.",
    )
    schemas: tuple[str, ...] = setting(
        (),
        kind="list",
        group="init",
        flags=("--create-schema",),
        metavar="NAME",
        example=("app", "audit"),
        help="Schemas to create where they are missing, before the extensions and init.",
    )
    extensions: tuple[str, ...] = setting(
        (),
        kind="list",
        group="init",
        flags=("--extension",),
        metavar="NAME",
        example=("citext", "pg_trgm"),
        help="PostgreSQL extensions to create where they are missing, before init.",
    )
    init_with: InitWith = setting(
        "auto",
        kind="choice",
        group="init",
        flags=("--init-with",),
        choices=t.get_args(InitWith),
        help="What init runs; auto is the first of these that the app has.",
    )
    seed: tuple[str, ...] = setting(
        (),
        kind="seeds",
        group="init",
        flags=("--seed",),
        metavar="SEED",
        example=("seeds/*.sql", "seeds/*.csv", "myapp.seeds:demo", "flask seed-demo"),
        help="Files, functions and commands of the app that fill a new database, after init.",
    )
    metadata: str | None = setting(
        kind="attribute",
        group="init",
        flags=("--metadata",),
        metavar="MODULE:ATTRIBUTE",
        example="myapp.models:Base.metadata",
        help="The metadata for create_all, if the extension has none.",
        unset="the extension's own",
    )
    server: ServerMode = setting(
        "auto",
        kind="choice",
        group="server",
        flags=("--server",),
        choices=t.get_args(ServerMode),
        help="Start a server: auto, the embedded wheel when needed; embedded, any binaries; external, never.",
    )
    server_data_dir: Path | None = setting(
        kind="path",
        group="server",
        flags=("--server-data-dir",),
        metavar="FOLDER",
        example="~/pgdata",
        help="The data folder of the embedded server.",
        unset="a folder in the user's data folder",
    )
    server_bin_dir: Path | None = setting(
        kind="path",
        group="server",
        flags=("--server-bin-dir",),
        metavar="FOLDER",
        example="/usr/lib/postgresql/17/bin",
        help="The folder of PostgreSQL's binaries for the embedded server.",
        unset="an installed wheel, else the system's",
    )

    test_init: TestInit = setting(
        "init",
        kind="choice",
        group="test",
        choices=t.get_args(TestInit),
        help="What fills the databases of the pytest plugin: all that init and seeds do, or create_all.",
    )
    test_uri: PostgresUri | None = setting(
        kind="uri",
        group="test",
        example="postgresql://localhost:5432/postgres",
        help="The server for the databases of the pytest plugin.",
        unset="an embedded one, which is thrown away",
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The declaration of one setting.

    :param unset: what is used instead, when nothing sets it and there is no default.
    :param example: a value for the example TOML, when the default is not one.
    """

    name: str
    kind: Kind
    group: Group
    default: t.Any
    help: str
    unset: str | None = None
    example: t.Any = None
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    @property
    def variable(self) -> str:
        """Its name in the environment and in ``app.config``."""
        return PREFIX + self.name.upper()

    @property
    def repeatable(self) -> bool:
        """Whether its flag may be given more than once."""
        return self.kind in ("list", "seeds")


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(name=field.name, default=field.default, **field.metadata)
    for field in dataclasses.fields(Settings)
)

BY_NAME: t.Mapping[str, Setting] = {declared.name: declared for declared in SETTINGS}
