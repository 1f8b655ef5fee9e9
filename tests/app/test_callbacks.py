"""The callback: its signature, whose it is, and how it fails."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import types
import typing as t
import warnings

import pytest
from flask import Flask, current_app

from flask_postgres import AppError, CallbackFailed, Interrupted, init_db_callback
from flask_postgres.app.callbacks import callback_for

LoadModule = t.Callable[[str, str], types.ModuleType]


def run(app: Flask, db: object = None) -> None:
    callback = callback_for(app)
    assert callback is not None
    callback.run(app, db)


@pytest.mark.parametrize("parameters", ["", "app", "db", "app, db", "db, app", "*, db, app", "app, /, db"])
def test_the_signature_names_what_it_wants(parameters: str) -> None:
    app, db, seen = Flask(__name__), object(), []
    scope: dict[str, t.Any] = {"seen": seen}
    exec(f"def init({parameters}): seen.append({{k: v for k, v in locals().items()}})", scope)
    init_db_callback(scope["init"])
    run(app, db)
    offered = {"app": app, "db": db}
    wanted = {name for name in offered if name in parameters}
    assert seen == [{name: offered[name] for name in wanted}]


def test_parameters_with_defaults_are_left_alone() -> None:
    app, seen = Flask(__name__), []

    @init_db_callback
    def init(app: Flask, count: int = 3, *rest: int, **more: int) -> None:
        seen.append((app, count, rest, more))

    run(app)
    assert seen == [(app, 3, (), {})]


def test_other_required_parameters_are_named_at_registration() -> None:
    def init(app: Flask, session: object, *, count: int) -> None: ...

    with pytest.raises(AppError, match=r"asks for session, count \(.*test_callbacks.py:\d+\)"):
        init_db_callback(init)


def test_a_generator_function_is_refused_at_registration() -> None:
    """It said that the database was initialized, and nothing had run."""
    app = Flask("shop")
    with pytest.raises(AppError, match=r"init_db is a generator function .*: calling it runs nothing"):

        @init_db_callback(app=app)
        def init_db(db: object) -> t.Iterator[object]:
            yield db


def test_the_function_stays_what_it_was() -> None:
    def init() -> None: ...

    assert init_db_callback(init) is init


def test_it_runs_in_the_application_context() -> None:
    app, seen = Flask(__name__), []

    @init_db_callback
    def init() -> None:
        seen.append(current_app._get_current_object())  # type: ignore[attr-defined]

    run(app)
    assert seen == [app]


def test_a_coroutine_function_is_run() -> None:
    app, seen = Flask(__name__), []

    @init_db_callback
    async def init(app: Flask) -> None:
        seen.append((app, current_app.name))

    run(app)
    assert seen == [(app, __name__)]


def test_no_callback() -> None:
    assert callback_for(Flask(__name__)) is None


# A second one


def test_a_different_second_one_warns_and_replaces() -> None:
    app = Flask(__name__)

    @init_db_callback
    def first() -> None: ...

    with pytest.warns(UserWarning, match=r"second replaces .*first") as caught:

        @init_db_callback
        def second() -> None: ...

    assert caught[0].filename == __file__
    found = callback_for(app)
    assert found is not None
    assert found.func is second


def test_a_different_second_one_of_the_module_warns_too(load_module: LoadModule) -> None:
    with pytest.warns(UserWarning, match=r"alone\.second replaces alone\.first"):
        module = load_module(
            "alone",
            """
            from flask import Flask
            from flask_postgres import init_db_callback

            @init_db_callback
            def first(): ...

            @init_db_callback
            def second(): ...

            app = Flask(__name__)
            """,
        )
    found = callback_for(module.app)
    assert found is not None
    assert found.name == "alone.second"


FACTORY = """
    from flask import Flask
    from flask_postgres import init_db_callback

    def create_app(label):
        app = Flask(__name__)
        @init_db_callback
        def init_db(app):
            app.config["SEEN"] = label
        return app
"""


def test_a_factory_called_twice_is_silent_and_each_app_has_its_own(load_module: LoadModule) -> None:
    module = load_module("twice", FACTORY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, two = module.create_app("one"), module.create_app("two")
        run(one)
        run(two)
    assert (one.config["SEEN"], two.config["SEEN"]) == ("one", "two")


# Whose it is

SEEDED = """
    from flask import Flask
    from flask_postgres import init_db_callback

    def create_app():
        return Flask(__name__)

    @init_db_callback
    def init_db(): ...
"""


def name_for(app: Flask) -> str | None:
    found = callback_for(app)
    return None if found is None else found.name


def test_a_module_level_callback_belongs_to_every_app_of_its_factory(load_module: LoadModule) -> None:
    module = load_module("seeded", SEEDED)
    assert [name_for(module.create_app()) for _ in range(2)] == ["seeded.init_db"] * 2


def test_two_apps_do_not_share_one(load_module: LoadModule) -> None:
    seeded = load_module("seeded", SEEDED).create_app()
    bare = load_module("bare", "from flask import Flask\napp = Flask(__name__)").app
    assert (name_for(seeded), name_for(bare)) == ("seeded.init_db", None)


def test_two_apps_with_names_of_their_own_do_not_share_one(load_module: LoadModule) -> None:
    seeded = load_module("seeded", SEEDED + "\n    app = Flask('north')").app
    bare = load_module("bare", "from flask import Flask\napp = Flask('south')").app
    assert (name_for(seeded), name_for(bare)) == ("seeded.init_db", None)


def test_two_apps_each_with_one(load_module: LoadModule) -> None:
    one = load_module("one", SEEDED).create_app()
    two = load_module("two", SEEDED).create_app()
    assert (name_for(one), name_for(two)) == ("one.init_db", "two.init_db")


def test_a_callback_beside_the_app_belongs_to_the_app_that_imports_it(
    load_module: LoadModule, write: t.Callable[[t.Mapping[str, str]], None]
) -> None:
    write({"seeds.py": "from flask_postgres import init_db_callback\n@init_db_callback\ndef fill(): ..."})
    user = load_module("user", "import seeds\nfrom flask import Flask\napp = Flask(__name__)").app
    other = load_module("other", "from flask import Flask\napp = Flask(__name__)").app
    assert (name_for(user), name_for(other)) == ("seeds.fill", None)


def test_the_only_app_of_a_process_gets_it_whatever_its_name(tmp_path: t.Any) -> None:
    (tmp_path / "seeds.py").write_text(
        "from flask_postgres import init_db_callback\n@init_db_callback\ndef fill(): ..."
    )
    script = """
        import seeds
        from flask import Flask
        from flask_postgres.app.callbacks import callback_for
        print(callback_for(Flask("unrelated")).name)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(command, capture_output=True, text=True, env=path, check=True)
    assert done.stdout == "seeds.fill\n"


def test_two_apps_side_by_side_must_say_whose_it_is() -> None:
    one, two = Flask(__name__), Flask(__name__)
    one.extensions["sqlalchemy"] = two.extensions["sqlalchemy"] = object()

    @init_db_callback
    def init_db() -> None: ...

    with pytest.raises(AppError, match="is ambiguous: its package defines one or two"):
        callback_for(two)

    init_db_callback(app=two)(init_db)
    assert name_for(two) is not None


def test_a_module_that_is_loaded_anew_takes_its_callback_with_it(load_module: LoadModule) -> None:
    load_module("again", SEEDED)
    del sys.modules["again"]
    app = load_module("again", "from flask import Flask\napp = Flask(__name__)").app
    assert callback_for(app) is None


# How it fails


def test_a_failure_says_type_message_and_place(load_module: LoadModule) -> None:
    module = load_module(
        "failing",
        """
        import json
        from flask import Flask
        from flask_postgres import init_db_callback

        app = Flask(__name__)

        @init_db_callback
        def init_db():
            read()

        def read():
            json.loads("{")
        """,
    )
    with pytest.raises(CallbackFailed) as caught:
        run(module.app)
    assert str(caught.value).startswith(
        "the init callback failing.init_db failed: JSONDecodeError: Expecting"
    )
    assert str(caught.value).endswith(" (failing.py:12)")
    assert type(caught.value.__cause__).__name__ == "JSONDecodeError"


@pytest.mark.parametrize(("code", "shown"), [("", ""), ("0", "0"), ("3", "3"), ("'no'", "'no'")])
def test_sys_exit_is_a_failure(code: str, shown: str) -> None:
    app = Flask(__name__)
    scope: dict[str, t.Any] = {}
    exec(f"import sys\ndef init(): sys.exit({code})", scope)
    init_db_callback(scope["init"])
    with pytest.raises(CallbackFailed) as caught:
        run(app)
    assert f"sys.exit({shown})" in str(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted(15)])
def test_an_interruption_passes_through(error: BaseException) -> None:
    app = Flask(__name__)

    @init_db_callback
    def init() -> None:
        raise error

    with pytest.raises(type(error)):
        run(app)


def test_registering_costs_no_import_of_flask_or_sqlalchemy() -> None:
    script = (
        "import sys, flask_postgres.app.callbacks; print({'flask', 'sqlalchemy', 'click'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_long_message_keeps_its_hint() -> None:
    app = Flask(__name__)

    @init_db_callback
    def init() -> None:
        raise RuntimeError(f"relation {'x ' * 300}does not exist\nHINT:  Try re-running the import.")

    with pytest.raises(CallbackFailed, match=r"x…\s+HINT: Try re-running the import\. \(") as caught:
        run(app)
    assert len(str(caught.value)) < 700
