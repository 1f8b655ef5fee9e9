"""The ``metadata`` setting: tables of an app whose extension keeps none of its own."""

from __future__ import annotations

import importlib
import typing as t

from ..errors import AppError
from . import faults

if t.TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import MetaData


def load_metadata(reference: str, app: Flask) -> MetaData:
    """Import the metadata that ``module:attribute`` names, or that of the model base class it names.

    :raises AppError: if there is no such module, attribute or metadata.
    """
    from sqlalchemy import MetaData

    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute):
        raise AppError(f'metadata is "{reference}".', remedy='Write it like "myapp.models:Base".')
    found = _import(module_name, reference, app)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise AppError(f'metadata is "{reference}", but {module_name} has no {attribute}.')
        found = getattr(found, name)
    metadata = found if isinstance(found, MetaData) else getattr(found, "metadata", None)
    if not isinstance(metadata, MetaData):
        kind = type(found).__name__
        message = f'metadata is "{reference}", which is a {kind} and not a MetaData or a model base class.'
        raise AppError(message)
    return metadata


def _import(module_name: str, reference: str, app: Flask) -> t.Any:
    try:
        with app.app_context():
            return importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        place = faults.at(faults.where(error, root=app.root_path))
        message = f'metadata is "{reference}", which cannot be imported: {faults.describe(error)}{place}'
        raise AppError(message) from error
