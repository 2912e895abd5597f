# fmt: off
# isort: skip_file
from .diagnose import diagnose as diagnose, why_no_diagnosis as why_no_diagnosis
from .evidence import Evidence as Evidence
from .record import Diagnosis as Diagnosis
