"""A Google Drive on loopback: files, shared drives, logs of changes, sign-in, and faults on demand."""

from mixsync_dagster.testing.drive_simulator.files import FOLDER, MY_DRIVE, SHORTCUT, DriveFiles, SimulatedFile
from mixsync_dagster.testing.drive_simulator.server import DriveSimulator, Fault

__all__ = ["FOLDER", "MY_DRIVE", "SHORTCUT", "DriveFiles", "DriveSimulator", "Fault", "SimulatedFile"]
