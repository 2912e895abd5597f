# fmt: off
# isort: skip_file
from .package import (
    Package as Package, Sizes as Sizes, open_package as open_package, package_sizes as package_sizes, write_package as write_package,
)
from .people import KnownPeople as KnownPeople
from .requirements import metadata_wheel as metadata_wheel, requirements as requirements
from .served import Answer as Answer, Item as Item, Query as Query, ServedModel as ServedModel
