# SPDX-License-Identifier: BSD-3-Clause
"""A machine for packages and units: systemd as process 1 of a namespace of its own, over a copy
of this machine's files that is gone afterwards. Its network has nothing but loopback."""
import signal
import subprocess
import tempfile
from pathlib import Path

from lablib.netns import LabError, run, wait_until

# Runs in the new namespaces. $1: an empty folder. systemd is told that it is in a container, so
# that it leaves the hardware alone; what else this machine would start does not start there.
BOOT = r"""
set -e
top=$1 root=$1/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$top"
mkdir "$root" "$top/upper" "$top/work"
mount -t overlay overlay -o lowerdir=/,upperdir="$top/upper",workdir="$top/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
	: >"$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/net" "$root/dev/shm" "$root/dev/pts"
mknod "$root/dev/net/tun" c 10 200
rm -f "$root/etc/fstab" "$root/usr/sbin/policy-rc.d"
rm -rf "$root/etc/systemd/system" "$root/etc/sallyport" "$root/var/lib/sallyport"
mkdir "$root/etc/systemd/system"
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-networkd.service \
	systemd-timesyncd.service systemd-logind.service console-getty.service getty.target \
	timers.target cron.service; do
	ln -s /dev/null "$root/etc/systemd/system/$unit"
done
printf '[Unit]\nAllowIsolate=yes\n' >"$root/etc/systemd/system/lab.target"
exec chroot "$root" env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=lab.target
"""
EVERYTHING = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]


class Machine:
    def __init__(self, log):
        self.folder = tempfile.TemporaryDirectory(prefix="sallyport-machine-")
        self.log = open(log, "w")
        self.process, self.init = None, None

    def boot(self, seconds=120):
        """Returns once systemd takes orders."""
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "unshare", *EVERYTHING, "--fork", "--kill-child", "sh", "-c", BOOT, "boot",
             self.folder.name], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT, start_new_session=True)
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        wait_until(lambda: children.read_text().split(), seconds, "the machine's process 1")
        self.init = int(children.read_text().split()[0])
        wait_until(lambda: self.process.poll() is not None or self.is_up(), seconds,
                   "systemd to take orders")
        if self.process.poll() is not None:
            raise LabError(f"the machine did not start: see {self.log.name}")
        return self

    def is_up(self):
        if Path(f"/proc/{self.init}/comm").read_text().strip() != "systemd":
            return False
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def run(self, *command, check=True, timeout=120):
        """A command in the machine, as root."""
        return run(["nsenter", "-t", self.init, *EVERYTHING, "--root", "--wd=/", "--", "env", "-i",
                    "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *command],
                   check=check, timeout=timeout)

    def path(self, path):
        """A file of the machine's, as seen from here."""
        return Path(f"/proc/{self.init}/root") / str(path).lstrip("/")

    def show(self, unit, what):
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", what, unit).stdout.strip()

    def down(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)  # the kernel ends all of its namespace
            self.process.wait(30)
        self.log.close()
        self.folder.cleanup()
