"""Files and folders: atomic writes, folders whose links are not followed, locks, and schemes of URLs."""

from synthvae.filesystem.files import check_writable, export, probe
from synthvae.filesystem.folders import TEMPORARY, Folder, Opened, open_file, open_folder, refuse_link, write
from synthvae.filesystem.locks import is_locked, lock, share_lock, unlock
from synthvae.filesystem.schemes import DATASET_SCHEMES, check_dataset_scheme, local_path, scheme_of

__all__ = [
    "DATASET_SCHEMES",
    "TEMPORARY",
    "Folder",
    "Opened",
    "check_dataset_scheme",
    "check_writable",
    "export",
    "is_locked",
    "local_path",
    "lock",
    "open_file",
    "open_folder",
    "probe",
    "refuse_link",
    "scheme_of",
    "share_lock",
    "unlock",
    "write",
]
