# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces without names: they last as long as somebody holds them, so nothing of them is left behind."""
import array
import ctypes
import errno
import os
import signal
import socket
import subprocess

NEWNET, NEWUSER = 0x40000000, 0x10000000
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


class Problem(Exception):
    """Something the user can put right; the text says what and how."""


def _checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _unshare(flags):
    _checked(libc.unshare(flags))


def _setns(file, kind):
    _checked(libc.setns(file, kind))


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _become_root_of_a_user_namespace():
    uid, gid = os.geteuid(), os.getegid()
    _unshare(NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {uid} 1")
    _write("/proc/self/gid_map", f"0 {gid} 1")


def _make(inside):
    """In a child: a new network namespace, in a user namespace of our own where that needs one. Gives the fds."""
    user = -1
    try:
        if inside is not None:
            _setns(inside, NEWUSER)
        _unshare(NEWNET)
    except OSError as error:
        if error.errno != errno.EPERM or inside is not None:
            raise
        _become_root_of_a_user_namespace()
        _unshare(NEWNET)
        user = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    return [os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)] + ([user] if user >= 0 else [])


def _born(inside):
    """Only the process that made a namespace may always open it, so it hands the descriptors over."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            fds = _make(inside)
            socket.send_fds(theirs, [b"+"], fds)
        except OSError as error:
            theirs.send(b"-" + str(error).encode())
        finally:
            os._exit(0)
    theirs.close()
    space = array.array("i").itemsize * 4
    data, ancillary, _, _ = ours.recvmsg(256, socket.CMSG_SPACE(space), socket.MSG_CMSG_CLOEXEC)
    ours.close()
    os.waitpid(pid, 0)
    if data[:1] != b"+":
        raise Problem(f"no network namespace can be made ({data[1:].decode()}): run it as root, or allow user namespaces "
                      "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)")
    fds = array.array("i")
    for _, _, payload in ancillary:
        fds.frombytes(payload)
    return list(fds)


class Namespace:
    """A network namespace; the first one of a plain user brings its user namespace along."""

    def __init__(self, sibling=None):
        fds = _born(sibling.user if sibling else None)
        self.net = fds[0]
        self.user = fds[1] if len(fds) > 1 else (sibling.user if sibling else None)
        self.owner = len(fds) > 1
        self.ip("link", "set", "lo", "up")

    def close(self):
        os.close(self.net)
        if self.owner:
            os.close(self.user)

    def enter(self):
        """For preexec_fn. Entering a user namespace forgets who the parent's death is told to, so that comes last."""
        if self.user is not None:
            _setns(self.user, NEWUSER)
        _setns(self.net, NEWNET)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def socket(self, family, kind):
        """A socket of this namespace, for use from outside: made by a child that has entered it."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                self.enter()
                with socket.socket(family, kind) as made:
                    socket.send_fds(theirs, [b"+"], [made.fileno()])
            finally:
                os._exit(0)
        theirs.close()
        with ours:
            data, fds, _, _ = socket.recv_fds(ours, 1, 1)
        os.waitpid(pid, 0)
        if data != b"+":
            raise Problem("no socket could be made in a namespace of the fleet")
        return socket.socket(family, kind, fileno=fds[0])

    def ip(self, *words, pass_fds=()):
        done = subprocess.run(["ip", *words], preexec_fn=self.enter, pass_fds=pass_fds, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False,
                              env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
        if done.returncode:
            raise Problem(f"'ip {' '.join(words)}' failed: {done.stdout.strip()}")
        return done.stdout

    def quiet(self):
        """No IPv6 chatter on links that are made from now on; a refusal only costs some frames."""
        subprocess.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"], preexec_fn=self.enter,
                       stderr=subprocess.DEVNULL, check=False)

    def joined(self, name, other, other_name, mtu):
        """A pair of links between this namespace and another one."""
        for space in (self, other):
            space.quiet()
        self.ip("link", "add", name, "mtu", str(mtu), "type", "veth", "peer", "name", other_name, "mtu", str(mtu),
                "netns", f"/proc/self/fd/{other.net}", pass_fds=(other.net,))
        self.ip("link", "set", name, "up")
        other.ip("link", "set", other_name, "up")
