"""Lets the n-th change of a file below a folder go wrong in an unmodified program: see disk_faults.c."""

import mmap
import os
import struct

DIE_BEFORE, DIE_AFTER, DIE_WITHIN, POWER_LOSS, ERROR, SHORT_WRITE = range(1, 7)
NAMES = {DIE_BEFORE: "kill before", DIE_AFTER: "kill after", DIE_WITHIN: "kill within",
         POWER_LOSS: "loss of power at", ERROR: "error of", SHORT_WRITE: "short write at"}
DEADLY = (DIE_BEFORE, DIE_AFTER, DIE_WITHIN, POWER_LOSS)
FIELDS = ("fault", "at", "calls", "repeat", "error", "seed", "fired", "attached")


class DiskFaults:
    """The control file of one program. `environment` is what the program is started with."""

    def __init__(self, path, folder, program="serve"):
        with open(path, "wb+") as file:
            file.truncate(4096)
            self.memory = mmap.mmap(file.fileno(), 4096)
        library = os.environ["MILLRACE_DISK_FAULTS"]
        self.environment = {"LD_PRELOAD": library, "DISK_FAULTS": path, "DISK_FAULTS_FOLDER": folder,
                            "DISK_FAULTS_PROGRAM": program}
        # The sanitizer's library comes second here, and would complain.
        options = [os.environ.get("ASAN_OPTIONS", ""), "verify_asan_link_order=0"]
        self.environment["ASAN_OPTIONS"] = ":".join(filter(None, options))

    def get(self, field):
        return struct.unpack_from("I", self.memory, 4 * FIELDS.index(field))[0]

    def set(self, field, value):
        struct.pack_into("I", self.memory, 4 * FIELDS.index(field), value)

    def arm(self, fault, at, error=0, repeat=1, seed=0):
        """The `at`-th call from now on goes wrong, and with errors the `repeat` - 1 after it."""
        self.disarm()
        for field, value in (("repeat", repeat), ("error", error), ("seed", seed), ("calls", 0),
                             ("fault", fault), ("at", at)):
            self.set(field, value)

    def disarm(self):
        for field in ("at", "fault", "fired", "calls"):
            self.set(field, 0)
        self.memory[32:288] = bytes(256)

    def what(self):
        return self.memory[32:288].split(b"\0")[0].decode()
